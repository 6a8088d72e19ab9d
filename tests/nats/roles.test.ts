import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { connectToNats, type NatsRole } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { startServers } from '../support/servers.ts';
import { startCluster } from './cluster-servers.ts';

/** What each role may not do: publishing there is a violation, and so is listening. */
const FORBIDDEN: Record<NatsRole, { publish: string[]; subscribe: string[] }> = {
  gateway: {
    publish: [
      'increments.other',
      'dead.increments.http',
      '$JS.API.STREAM.INFO.INCREMENTS',
      '$JS.API.STREAM.PURGE.INCREMENTS',
      '$JS.API.STREAM.DELETE.INCREMENTS',
      '$JS.API.STREAM.MSG.GET.INCREMENTS',
      '$JS.API.CONSUMER.MSG.NEXT.INCREMENTS.counter',
      '$JS.ACK.INCREMENTS.counter.1.1.1.1.1',
    ],
    subscribe: ['increments.>', '_INBOX_counter.>', '_INBOX.>', '>'],
  },
  counter: {
    publish: [
      'increments.http',
      'increments.replay',
      '$JS.API.STREAM.CREATE.INCREMENTS',
      '$JS.API.STREAM.UPDATE.INCREMENTS',
      '$JS.API.STREAM.DELETE.INCREMENTS',
      '$JS.API.STREAM.PURGE.INCREMENTS_DEAD',
      '$JS.API.CONSUMER.DELETE.INCREMENTS.counter',
      '$JS.API.CONSUMER.CREATE.INCREMENTS.mine',
    ],
    subscribe: ['increments.>', '_INBOX_gateway.>', 'dead.>', '>'],
  },
  inspector: {
    publish: [
      'increments.http',
      'mesh.anything',
      '$JS.API.STREAM.PURGE.INCREMENTS',
      '$JS.API.STREAM.DELETE.INCREMENTS',
      '$JS.API.CONSUMER.MSG.NEXT.INCREMENTS.counter',
      '$JS.ACK.INCREMENTS.counter.1.1.1.1.1',
    ],
    subscribe: ['increments.>', '_INBOX_gateway.>', '>'],
  },
  provisioner: {
    publish: [
      'increments.http',
      '$JS.API.STREAM.DELETE.OTHER',
      '$JS.API.STREAM.CREATE.OTHER',
      'mesh.x',
    ],
    subscribe: ['increments.>', '_INBOX_gateway.>', '>'],
  },
};

await t.test('each role can do its work and no more', async (t) => {
  const servers = await startServers(t);
  await checkRoles(t, (role) => servers.urls.nats[role]);
});

await t.test('and so it is in a cluster', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-roles-'));
  const cluster = await startCluster(folder);
  t.teardown(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await provision({ url: cluster.url('provisioner'), replicas: 3, flushIntervalMs: 9_000 });
  await checkRoles(t, cluster.url);
});

await t.test('nobody without a right password gets anything', async (t) => {
  const servers = await startServers(t);
  const url = new URL(servers.urls.nats.gateway);
  url.password = 'wrong';
  await t.rejects(
    connectToNats({ url: url.href, role: 'gateway' }),
    /can't connect to NATS at .* as gateway: .*check user and password in NATS_URL/,
  );
  await t.rejects(connectToNats({ url: `nats://${url.host}`, role: 'gateway' }), /as anonymous/);
});

async function checkRoles(t: Test, urlOf: (role: NatsRole) => string): Promise<void> {
  for (const role of Object.keys(FORBIDDEN) as NatsRole[]) {
    const url = urlOf(role);
    for (const subject of FORBIDDEN[role].publish) {
      const isPublishRefused = await isRefused(url, role, (nats) => nats.publish(subject));
      t.equal(isPublishRefused, true, `${role} may not publish ${subject}`);
    }
    for (const subject of FORBIDDEN[role].subscribe) {
      const isSubscribeRefused = await isRefused(url, role, (nats) => nats.subscribe(subject));
      t.equal(isSubscribeRefused, true, `${role} may not subscribe ${subject}`);
    }
    const inbox = createInbox(`_INBOX_${role}`);
    const isInboxRefused = await isRefused(url, role, (nats) => nats.subscribe(inbox));
    t.equal(isInboxRefused, false, `${role} may read its own inbox`);
  }
}

/** The server answers a violation with an error on the connection, before its answer to a ping. */
async function isRefused(
  url: string,
  role: NatsRole,
  attempt: (connection: NatsConnection) => unknown,
): Promise<boolean> {
  const connection = await connectToNats({ url, role });
  const statuses = connection.status();
  let refused = false;
  const watching = (async () => {
    for await (const status of statuses) if (status.type === 'error') refused = true;
  })();
  attempt(connection);
  await connection.flush();
  await connection.close();
  await watching;
  return refused;
}
