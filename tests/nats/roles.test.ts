import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import t from 'tap';
import { connectToNats, type NatsRole } from '../../nats/connect.ts';
import { startServers, type Servers } from '../support/servers.ts';

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

void t.test('each role can do its work and no more', async (t) => {
  const servers = await startServers(t);
  for (const role of Object.keys(FORBIDDEN) as NatsRole[]) {
    await t.test(role, async (t) => {
      for (const subject of FORBIDDEN[role].publish) {
        t.equal(
          await isRefused(servers, role, (nats) => nats.publish(subject)),
          true,
          `publish ${subject}`,
        );
      }
      for (const subject of FORBIDDEN[role].subscribe) {
        t.equal(
          await isRefused(servers, role, (nats) => nats.subscribe(subject)),
          true,
          `subscribe ${subject}`,
        );
      }
      const inbox = createInbox(`_INBOX_${role}`);
      t.equal(
        await isRefused(servers, role, (nats) => nats.subscribe(inbox)),
        false,
        'its own inbox',
      );
    });
  }
});

void t.test('nobody without a right password gets anything', async (t) => {
  const servers = await startServers(t);
  const url = new URL(servers.urls.nats.gateway);
  url.password = 'wrong';
  await t.rejects(
    connectToNats({ url: url.href, role: 'gateway' }),
    /can't connect to NATS at .* as gateway/,
  );
  await t.rejects(connectToNats({ url: `nats://${url.host}`, role: 'gateway' }), /as anonymous/);
});

/** The server answers a violation with an error on the connection, before its answer to a ping. */
async function isRefused(
  servers: Servers,
  role: NatsRole,
  attempt: (connection: NatsConnection) => unknown,
): Promise<boolean> {
  const connection = await connectToNats({ url: servers.urls.nats[role], role });
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
