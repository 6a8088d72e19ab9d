import type { JetStreamManager } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { setTimeout as delay } from 'node:timers/promises';
import { counterConsumer, incrementsStream } from '../../nats/streams.ts';

const OPTIONS = { flushIntervalMs: 9_000 };

/** The first message's, in both forms that there are. */
export const ACKS = [
  '$JS.ACK.INCREMENTS.counter.1.1.1.1795730000000000000.0',
  '$JS.ACK._.x.INCREMENTS.counter.1.1.1.1795730000000000000.0.x',
];

/** What may be asked of JetStream, and the subjects of streams: each is tried as subject and as reply subject. */
export const TARGETS = [
  'increments.http',
  'increments.replay',
  'increments.other',
  'dead.increments.http',
  'mesh.rate-limit.members',
  'mesh.heartbeat.gateway',
  'mesh.heartbeat.counter',
  'mesh.trace.x',
  '$SRV.PING',
  ...ACKS,
  ...[
    'ACCOUNT.PURGE.STREAMS',
    'CONSUMER.CREATE.INCREMENTS.mine',
    'CONSUMER.DELETE.INCREMENTS.counter',
    'CONSUMER.DURABLE.CREATE.INCREMENTS.mine',
    'CONSUMER.MSG.NEXT.INCREMENTS.counter',
    'CONSUMER.PAUSE.INCREMENTS.counter',
    'CONSUMER.RESET.INCREMENTS.counter',
    'CONSUMER.UNPIN.INCREMENTS.counter',
    'CONSUMER.LEADER.STEPDOWN.INCREMENTS.counter',
    'DIRECT.GET.INCREMENTS',
    'META.LEADER.STEPDOWN',
    'SERVER.REMOVE',
    'STREAM.CREATE.MINE',
    'STREAM.CREATE.INCREMENTS',
    'STREAM.UPDATE.INCREMENTS',
    'STREAM.DELETE.INCREMENTS',
    'STREAM.DELETE.INCREMENTS_DEAD',
    'STREAM.INFO.INCREMENTS',
    'STREAM.MSG.DELETE.INCREMENTS',
    'STREAM.MSG.DELETE.INCREMENTS_DEAD',
    'STREAM.MSG.GET.INCREMENTS',
    'STREAM.PEER.REMOVE.INCREMENTS',
    'STREAM.PURGE.INCREMENTS',
    'STREAM.PURGE.INCREMENTS_DEAD',
    'STREAM.RESTORE.MINE',
    'STREAM.SNAPSHOT.INCREMENTS',
  ].map((verb) => `$JS.API.${verb}`),
];

/** Of requests that change something, and those whose answers have a body, none, or several. */
const BODIES = [
  '',
  '{}',
  '{"seq":1}',
  '{"seq":2}',
  '{"batch":5,"no_wait":true}',
  '{"pause_until":"2099-01-01T00:00:00Z"}',
  JSON.stringify({ name: 'MINE', subjects: ['mine.>'], storage: 'memory' }),
  JSON.stringify({ ...incrementsStream(OPTIONS), max_msgs: 1, discard: 'old' }),
  JSON.stringify({
    stream_name: 'INCREMENTS',
    config: { ...counterConsumer(OPTIONS), name: 'mine' },
  }),
];

/** What a role may say and hear, and what it may change, which is no attack. */
export interface Role {
  may: string[];
  hears: string[];
  /** Where it may store what it wants to. */
  stores?: string;
  /** By which it may remove messages from the work queue. */
  removes?: string[];
}

/**
 * Does what an attacker with a role's password can: publishes everywhere, asks with every reply subject and
 * in every header that makes the server send, and answers what it hears.
 */
export async function attack(connection: NatsConnection, role: Role): Promise<void> {
  const loops = role.hears.map((pattern) =>
    connection.subscribe(pattern, {
      callback: (_, message) => {
        if (message?.reply) for (const body of BODIES) message.respond(body);
      },
    }),
  );
  for (const target of TARGETS.filter((one) => !role.removes?.includes(one))) {
    for (const body of BODIES) {
      connection.publish(target, body);
      connection.publish(target, body, { headers: withHeader('Nats-Request-Info', FORGED) });
      for (const subject of role.may) {
        connection.publish(subject, body, { reply: target });
        connection.publish(subject, body, { headers: withHeader('Nats-Trace-Dest', target) });
      }
    }
    await connection.flush();
  }
  // What the server does by itself comes after its answer to a ping.
  await delay(500);
  for (const loop of loops) loop.unsubscribe();
}

/** By which the server names the requester to JetStream. */
const FORGED = '{"acc":"STREAMS","svc":"STREAMS","user":"provisioner"}';

function withHeader(name: string, value: string): MsgHdrs {
  const one = headers();
  one.set(name, value);
  return one;
}

/** What each message of the test's own has as its body. */
export const HONEST = 'honest';

/** All that an attack could change: settings, and messages by their sequence. */
export async function takeStock(manager: JetStreamManager) {
  const streams = await manager.streams.list().next();
  const stocks = streams.map(async ({ config, state }) => ({
    config,
    consumers: (await manager.consumers.list(config.name).next()).map((one) => one.config),
    messages: await readMessages(manager, config.name, state.last_seq),
  }));
  return Promise.all(stocks);
}

/** Without what the role may change by right. */
export function withoutRights(
  stocks: Awaited<ReturnType<typeof takeStock>>,
  { stores, removes }: Role,
) {
  const isOf = (role: string | undefined, text: string) =>
    role !== undefined && text.includes(` ${role} `) && !text.endsWith(` ${HONEST}`);
  return stocks.map(({ messages, ...stock }) => ({
    ...stock,
    messages: messages.filter(
      (text) => !isOf(stores, text) && !(removes && stock.config.name === 'INCREMENTS'),
    ),
  }));
}

async function readMessages(manager: JetStreamManager, stream: string, last: number) {
  const messages: string[] = [];
  for (let seq = 1; seq <= last; seq++) {
    const message = await manager.streams.getMessage(stream, { seq });
    if (message === null) continue;
    messages.push(`${seq} ${message.subject} ${message.string().slice(0, 80)}`);
  }
  return messages;
}
