import { createHash, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Value } from 'typebox/value';
import { connectToNats } from '../../../nats/connect.ts';
import { HEARTBEAT_SUBJECT } from '../../../nats/channel.ts';
import { Heartbeat, type MeshEvent } from '../../../schema/message/heartbeat.ts';
import { post, send } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';

const WATCHERS_MAX = 32;

void t.test('events tell of the whole mesh', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 300 });
  const gateway = await startGateway(t, servers);
  const other = await startGateway(t, servers);
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const events = await watch(t, gateway.url);
  t.equal(events.headers['content-type'], 'text/event-stream');
  t.equal(events.headers['cache-control'], 'no-store, no-transform', 'no proxy changes them');
  t.equal(events.headers['x-accel-buffering'], 'no', 'nginx holds none of them back');

  const pids = (event: MeshEvent) => event.instances.map(({ stats }) => stats.pid);
  const whole = await events.until('everyone', (event) => pids(event).length === 3);
  t.strictSame(new Set(pids(whole)), new Set([gateway.pid, other.pid, counter.pid]));
  t.equal(whole.broker_connected, true);
  for (const instance of whole.instances) {
    t.strictSame(Value.Errors(Heartbeat, instance), [], `${instance.name} is as the schema has it`);
  }

  const key = randomUUID();
  t.equal((await post(other.url, { key, value: 4_000 })).status, 200);
  t.equal((await post(gateway.url, { key, value: 1 })).status, 200);
  const counted = await events.until('the increments', (event) =>
    event.instances.some(
      (each) => each.name === 'counter' && each.stats.increments_committed === 2,
    ),
  );
  const [told] = counted.instances.flatMap((each) => (each.name === 'counter' ? [each] : []));
  t.strictSame(told?.activity.growing_keys, [{ key, added: '4001' }]);
  t.ok(told?.activity.flushes.some(({ rows, staleness_ms: ms }) => rows === 1 && (ms ?? 0) > 0));
  t.strictSame(told?.activity.dead_letters, {});

  counter.kill('SIGKILL');
  await events.until('its silence', (event) =>
    event.instances.some((each) => each.stats.pid === counter.pid && each.silent_ms > 2_000),
  );
  await other.stop();
  await events.until('its farewell', (event) =>
    event.instances.some((each) => each.stats.pid === other.pid && each.is_stopping),
  );
  servers.nats.kill('SIGKILL');
  await events.until('the broker away', (event) => !event.broker_connected);

  const ended = performance.now();
  t.equal(await gateway.stop(), 0);
  t.ok(performance.now() - ended < 5_000, 'an open console holds no stop up');
  t.equal(await events.end, 'in order');
});

void t.test('who watches needs to read, and there are not too many', async (t) => {
  const servers = await startServers(t);
  const file = join(servers.folder, 'api-keys.json');
  const keyOf = (scope: string) => ({
    name: scope,
    sha256: createHash('sha256').update(scope).digest('hex'),
    scopes: [scope],
  });
  writeFileSync(file, JSON.stringify({ keys: ['read', 'write', 'admin'].map(keyOf) }));
  const { url } = await startGateway(t, servers, { API_KEYS_FILE: file });
  t.equal((await send(`${url}/`)).status, 200, 'the page itself tells nothing');
  t.equal((await send(`${url}/events`)).status, 401);
  const as = (scope: string) => ({ authorization: `Bearer ${scope}` });
  t.equal((await send(`${url}/events`, { headers: as('write') })).status, 403);

  // The largest mesh that is told of, and one console that does not read what it is told.
  const nats = await connectToNats({ url: servers.urls.nats.gateway, role: 'gateway' });
  t.teardown(() => nats.close());
  const timer = setInterval(() => {
    for (let index = 0; index < 64; index++) {
      nats.publish(
        `${HEARTBEAT_SUBJECT}.gateway`,
        JSON.stringify(heartbeat(`i${index}`, 'x'.repeat(7_800))),
      );
    }
  }, 500);
  t.teardown(() => clearInterval(timer));
  nats.publish(`${HEARTBEAT_SUBJECT}.gateway`, 'not a heartbeat');
  nats.publish(
    `${HEARTBEAT_SUBJECT}.gateway`,
    JSON.stringify(heartbeat('long', 'x'.repeat(20_000))),
  );

  const slow = await open(`${url}/events`, as('admin'));
  t.equal(slow.statusCode, 200);
  slow.pause();
  t.teardown(() => slow.destroy());
  const readers = await Promise.all(
    Array.from({ length: WATCHERS_MAX - 1 }, () => watch(t, url, as('read'))),
  );
  const refused = await send(`${url}/events`, { headers: as('read') });
  t.equal(refused.status, 503);
  t.match(JSON.parse(refused.body), { code: 'too-many-watchers' });
  const ids = await readers[0]?.until('all of them', ({ instances }) => instances.length >= 64);
  t.notOk(
    ids?.instances.some(({ id }) => id === 'long'),
    'what is too long is left out',
  );

  const another = async () => {
    const answer = await open(`${url}/events`, as('read'));
    answer.destroy();
    return answer.statusCode;
  };
  t.equal(await until('the slow one let go', another, (status) => status === 200, 60_000), 200);
});

void t.test('a console ends with its key', async (t) => {
  const servers = await startServers(t);
  const file = join(servers.folder, 'api-keys.json');
  const keyOf = (name: string, scope = 'read', secret = name) => ({
    name,
    sha256: createHash('sha256').update(secret).digest('hex'),
    scopes: [scope],
  });
  const write = (...keys: object[]) => writeFileSync(file, JSON.stringify({ keys }));
  const names = ['kept', 'revoked', 'rotated', 'changed'] as const;
  write(...names.map((name) => keyOf(name)));
  const gateway = await startGateway(t, servers, { API_KEYS_FILE: file });
  const consoles = await Promise.all(
    names.map((name) => watch(t, gateway.url, { authorization: `Bearer ${name}` })),
  );
  const [kept, ...others] = consoles;
  for (const each of consoles) await each.until('an event', () => true);
  write(
    keyOf('kept'),
    keyOf('rotated', 'read', 'another secret'),
    keyOf('changed', 'write'),
    keyOf('new'),
  );
  const changedAt = performance.now();
  for (const { end } of others) t.equal(await end, 'in order');
  const endedMs = performance.now() - changedAt;
  t.ok(endedMs < 5_000, `soon after the change: ${Math.round(endedMs)} ms`);
  const isOfKeys = ({ msg }: { msg: string }) => msg.startsWith('API keys have changed');
  const line = await until('the log line', () => gateway.log.find(isOfKeys));
  t.match(line, { added: ['new'], removed: ['revoked'], changed: ['rotated', 'changed'] });
  let hasEnded = false;
  void kept?.end.then(() => (hasEnded = true));
  const seen = await kept?.until('an event', () => true);
  await kept?.until('a later event', (event) => event.listening_ms > (seen?.listening_ms ?? 0));
  t.notOk(hasEnded, 'a key that stays keeps its console');
});

function heartbeat(id: string, host: string): Heartbeat {
  const stats = { increments_accepted: 0, messages_published: 0, increments_waiting: 0 };
  return {
    name: 'gateway',
    id,
    version: '0.1.0',
    uptime_ms: 1,
    is_stopping: false,
    stats: { pid: 1, host, responses: {}, ...stats },
  };
}

function open(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => get(url, { headers }, resolve).on('error', reject));
}

/** Reads a gateway's events until the test ends. */
async function watch(t: Test, url: string, headers: Record<string, string> = {}) {
  const answer = await open(`${url}/events`, headers);
  t.teardown(() => answer.destroy());
  let text = '';
  let last: MeshEvent | undefined;
  answer.on('data', (chunk: Buffer) => {
    const blocks = (text + chunk.toString('latin1')).split('\n\n');
    text = blocks.pop() ?? '';
    const data = /^event: mesh\ndata: (.*)$/.exec(blocks.at(-1) ?? '')?.[1];
    if (data !== undefined) last = JSON.parse(data) as MeshEvent;
  });
  const end = new Promise<string>((resolve) => {
    answer.on('end', () => resolve('in order'));
    answer.on('error', (error) => resolve(error.message));
  });
  return {
    headers: answer.headers,
    end,
    until: async (what: string, isMet: (event: MeshEvent) => boolean): Promise<MeshEvent> => {
      const seen = await until(
        what,
        () => last,
        (event) => event !== undefined && isMet(event),
      );
      return seen as MeshEvent;
    },
  };
}
