import t from 'tap';
import { provision } from '../../nats/provision.ts';
import { startServers } from '../support/servers.ts';

void t.test('three replicas on one server are refused, with what to do', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  await t.rejects(provision({ url, replicas: 3, flushIntervalMs: 9_000 }), {
    name: 'ProvisionError',
    message: /can't keep 3 replicas of INCREMENTS .*: give it a cluster .*, or set REPLICAS=1/,
  });
});
