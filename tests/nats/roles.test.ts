import { jetstreamManager } from '@nats-io/jetstream';
import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { connectToNats, NATS_ROLES, type NatsRole } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { startServers } from '../support/servers.ts';
import { ACKS, attack, HONEST, takeStock, withoutRights, type Role } from './attack.ts';
import { startCluster } from './cluster-servers.ts';

/** As nats/roles.conf has them. The provisioner is not among them: the streams are its own. */
const ROLES: Record<Exclude<NatsRole, 'provisioner'>, Role> = {
  gateway: {
    may: [
      'increments.http',
      'mesh.rate-limit.members',
      'mesh.stored.gateway',
      'mesh.trace.x',
      'mesh.clear',
      'mesh.heartbeat.gateway',
      '_R_.x',
    ],
    hears: ['mesh.rate-limit.>', 'mesh.stored.>', 'mesh.trace.>', 'mesh.heartbeat.*', '$SRV.>'],
    stores: 'increments.http',
  },
  counter: {
    may: [
      '$JS.API.CONSUMER.MSG.NEXT.INCREMENTS.counter',
      '$JS.API.CONSUMER.INFO.INCREMENTS.counter',
      '$JS.API.STREAM.INFO.INCREMENTS',
      '$JS.API.STREAM.INFO.INCREMENTS_DEAD',
      '$JS.API.STREAM.MSG.GET.INCREMENTS',
      '$JS.API.STREAM.MSG.GET.INCREMENTS_DEAD',
      'dead.increments.http',
      'mesh.heartbeat.counter',
      '_R_.x',
    ],
    hears: ['mesh.clear', '$SRV.>'],
    stores: 'dead.increments.http',
    removes: ['$JS.API.STREAM.PURGE.INCREMENTS', ...ACKS],
  },
  inspector: {
    may: [
      '$JS.API.INFO',
      '$JS.API.STREAM.LIST',
      '$JS.API.STREAM.INFO.INCREMENTS',
      '$JS.API.STREAM.MSG.GET.INCREMENTS',
      '$JS.API.DIRECT.GET.INCREMENTS',
      '$JS.API.CONSUMER.MSG.NEXT.INCREMENTS_DEAD.letters',
      '$JS.ACK.INCREMENTS_DEAD.letters.1.1.1.1795730000000000000.0',
      '$SRV.PING',
      '$SRV.STATS.gateway',
      '$SYS.REQ.USER.INFO',
      '_INBOX.inspector.x',
    ],
    hears: ['mesh.heartbeat.*', '$JS.EVENT.ADVISORY.>'],
  },
  operator: {
    may: [
      '$SYS.REQ.SERVER.PING',
      '$SYS.REQ.SERVER.PING.VARZ',
      '$SYS.REQ.ACCOUNT.PING.CONNZ',
      '_INBOX.operator.x',
    ],
    hears: [],
  },
};

await t.test('no role changes more than its part', async (t) => {
  const servers = await startServers(t);
  await attackRoles(t, (role) => servers.urls.nats[role]);
});

await t.test('and so it is in a cluster', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-roles-'));
  const cluster = await startCluster(folder);
  t.teardown(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  await provision({ url: cluster.url('provisioner'), replicas: 3, flushIntervalMs: 9_000 });
  await attackRoles(t, cluster.url);
});

await t.test('a role hears only what is meant for it', async (t) => {
  const servers = await startServers(t);
  const connections = await connectAll(t, (role) => servers.urls.nats[role]);
  const heard: Record<string, string[]> = {};
  for (const role of NATS_ROLES) {
    // All that it is allowed to, which may be everything.
    const patterns = [
      '>',
      'increments.>',
      'dead.>',
      'mesh.>',
      '$JS.>',
      '$SYS.>',
      '_R_.>',
      '_INBOX.>',
    ];
    const inboxes = NATS_ROLES.map((one) => `_INBOX.${one}.>`);
    for (const pattern of [
      ...patterns,
      ...inboxes,
      'mesh.rate-limit.>',
      'mesh.heartbeat.*',
      'mesh.clear',
    ]) {
      connections[role].subscribe(pattern, {
        callback: (error, message) => {
          if (error === null) (heard[role] ??= []).push(message.subject);
        },
      });
    }
    await connections[role].flush();
  }
  const say: [NatsRole, string][] = [
    ['gateway', 'mesh.rate-limit.members'],
    ['gateway', 'mesh.heartbeat.gateway'],
    ['gateway', 'mesh.heartbeat.counter'],
    ['gateway', 'mesh.clear'],
    ['gateway', 'increments.http'],
    ['counter', 'mesh.clear'],
    ['counter', 'mesh.rate-limit.members'],
    ['counter', 'mesh.heartbeat.counter'],
    ['counter', 'mesh.heartbeat.gateway'],
    ['counter', 'dead.increments.http'],
    ['inspector', 'mesh.clear'],
    ['inspector', 'mesh.rate-limit.members'],
    ['inspector', 'mesh.heartbeat.gateway'],
    ['provisioner', 'mesh.heartbeat.gateway'],
    ['provisioner', 'increments.replay'],
  ];
  for (const [role, subject] of say) {
    connections[role].publish(subject, '', { reply: createInbox(`_INBOX.${role}`) });
    await connections[role].flush();
  }
  await delay(300);
  const subjects = (role: NatsRole) => [
    ...new Set(heard[role]?.map((one) => one.replace(/^(_INBOX\.[a-z]+)\..*/, '$1'))),
  ];
  t.strictSame(subjects('gateway').toSorted(), [
    '_INBOX.gateway',
    'mesh.heartbeat.counter',
    'mesh.heartbeat.gateway',
    'mesh.rate-limit.members',
  ]);
  const ofCounter = heard['counter']?.filter((subject) => subject === 'mesh.clear');
  t.strictSame(ofCounter, ['mesh.clear'], 'a request of the gateway, and of no other role');
  t.strictSame(
    subjects('counter').toSorted(),
    ['_INBOX.counter', 'mesh.clear'],
    'beside it an answer about its dead letter',
  );
  t.strictSame(subjects('provisioner'), ['_INBOX.provisioner']);
  t.strictSame(subjects('operator'), []);
  t.strictSame(subjects('inspector').toSorted(), [
    'mesh.heartbeat.counter',
    'mesh.heartbeat.gateway',
  ]);
});

await t.test('an inspector takes nothing from counter services', async (t) => {
  const servers = await startServers(t);
  const connections = await connectAll(t, (role) => servers.urls.nats[role]);
  const manager = await jetstreamManager(connections.provisioner, { checkAPI: false });
  await connections.gateway.request('increments.http', HONEST, { timeout: 5_000 });
  await connections.counter.request('dead.increments.http', HONEST, { timeout: 5_000 });
  // The server delivers a dead letter there, which is a pull of the counter services' consumer.
  const config = {
    name: 'mine',
    deliver_subject: '$JS.API.CONSUMER.MSG.NEXT.INCREMENTS.counter',
    headers_only: true,
    ack_policy: 'explicit',
    deliver_policy: 'all',
    replay_policy: 'instant',
  };
  connections.inspector.publish(
    '$JS.API.CONSUMER.CREATE.INCREMENTS_DEAD.mine',
    JSON.stringify({ stream_name: 'INCREMENTS_DEAD', config }),
    { reply: createInbox('_INBOX.inspector') },
  );
  await connections.inspector.flush();
  await delay(500);
  const counter = await manager.consumers.info('INCREMENTS', 'counter');
  t.match(counter, { num_ack_pending: 0, num_waiting: 0, num_pending: 1 });
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

async function attackRoles(t: Test, urlOf: (role: NatsRole) => string): Promise<void> {
  const connections = await connectAll(t, urlOf);
  const manager = await jetstreamManager(connections.provisioner, { checkAPI: false });
  for (const [role, subject] of [
    ['gateway', 'increments.http'],
    ['gateway', 'increments.http'],
    ['counter', 'dead.increments.http'],
  ] as const) {
    await connections[role].request(subject, HONEST, { timeout: 5_000 });
  }
  await manager.consumers.add('INCREMENTS_DEAD', {
    durable_name: 'letters',
    ack_policy: 'explicit',
  });
  for (const [name, role] of Object.entries(ROLES) as [keyof typeof ROLES, Role][]) {
    const before = await takeStock(manager);
    await attack(connections[name], role);
    const after = await takeStock(manager);
    t.strictSame(withoutRights(after, role), withoutRights(before, role), `the ${name}`);
    const stored = after[0]!.messages.filter((text) => !before[0]!.messages.includes(text));
    const isOwn = (text: string) => text.includes(' increments.http ') && name === 'gateway';
    t.strictSame(
      stored.filter((text) => !isOwn(text)),
      [],
      'stores no increment of others',
    );
  }
}

async function connectAll(
  t: Test,
  urlOf: (role: NatsRole) => string,
): Promise<Record<NatsRole, NatsConnection>> {
  const entries = NATS_ROLES.map(async (role) => {
    const connection = await connectToNats({ url: urlOf(role), role });
    t.teardown(() => connection.close());
    return [role, connection] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Record<NatsRole, NatsConnection>;
}
