/** Fixed, since these servers listen on loopback for the length of a test. */
export const PASSWORDS = {
  gateway: 'gw',
  counter: 'ct',
  inspector: 'is',
  provisioner: 'pv',
  operator: 'op',
  owner: 'owner',
  superuser: 'su',
  reader: 'rd',
};
