/** The users of nats/roles.conf; only people are operators. */
export const NATS_ROLES = ['gateway', 'counter', 'inspector', 'provisioner', 'operator'] as const;
export type NatsRole = (typeof NATS_ROLES)[number];
