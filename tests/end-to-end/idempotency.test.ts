import { sql } from 'kysely';
import t from 'tap';
import { freeze } from '../support/freeze.ts';
import {
  makeKeys,
  readCounters,
  readTotal,
  untilCounted,
  untilTotal,
} from '../support/counters.ts';
import { post, type Answer } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { openStreams } from '../support/stream.ts';
import { until } from '../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '300' };

void t.test(
  'an Idempotency-Key counts once, through any gateway, flushed or not, broker restarted or not',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 300 });
    const streams = await openStreams(t, servers);
    const one = await startGateway(t, servers);
    const other = await startGateway(t, servers);
    const [key = ''] = makeKeys(1);
    const send = (url: string, name: string, value = 5) =>
      post(url, { key, value }, { 'idempotency-key': name });

    const first = await send(one.url, '"a-key"');
    const again = await send(one.url, 'a-key');
    t.strictSame([first.status, again.status], [200, 200]);
    t.equal(first.headers['idempotent-replayed'], undefined);
    t.equal(again.headers['idempotent-replayed'], 'true', 'quoted and bare are the same key');
    t.equal(again.body, first.body);
    t.equal((await send(one.url, 'a-key', 6)).status, 422, 'known to have had another payload');
    t.equal(
      (await send(other.url, 'a-key')).status,
      200,
      'in the same flush, through another gateway',
    );

    const counter = await startCounter(t, servers, FAST);
    await untilTotal(servers.database, 5);
    const third = await startGateway(t, servers);
    t.equal((await send(third.url, 'a-key')).status, 200, 'after the flush');
    t.equal((await send(third.url, 'b-key', 7)).status, 200);
    await untilTotal(servers.database, 12);

    servers.nats.kill('SIGKILL');
    await servers.restartNats();
    const fourth = await startGateway(t, servers);
    const repeated = await until('a 200', () => send(fourth.url, 'a-key'), isAccepted);
    t.equal(repeated.headers['idempotent-replayed'], undefined, 'this gateway can not know');
    await until(
      'a quiet stream',
      () => servers.inspect(),
      ({ messages }) => messages === 0,
    );
    t.equal(await readTotal(servers.database), '12');

    t.equal((await send(third.url, 'c-key', 1)).status, 200);
    const reused = await send(fourth.url, 'c-key', 2);
    t.equal(reused.status, 200, 'reused where the gateway can not know');
    const letters = await until(
      'a dead letter',
      streams.readDeadLetters,
      ({ length }) => length === 1,
    );
    t.match(letters, [{ reason: 'idempotency-key-reused', originalSubject: 'increments.http' }]);
    await untilTotal(servers.database, 13);
    const becameOf = async (answer: Answer) => {
      const { id } = JSON.parse(answer.body) as { id: string };
      const status = await fetch(`${third.url}/increments/${id}`);
      return ((await status.json()) as { increments: unknown }).increments;
    };
    t.strictSame(
      await becameOf(reused),
      { counted: 0, repeated: 0, dead_letters: [{ reason: 'idempotency-key-reused', count: 1 }] },
      'its status says that it is a dead letter',
    );
    t.strictSame(
      await becameOf(repeated),
      { counted: 0, repeated: 1, dead_letters: [] },
      'and of a repeat that it was counted before',
    );
    t.equal(
      (await readCounters(servers.database)).get(key),
      '13',
      'the payload that came first counts',
    );

    await t.test('though two counters get its message', async (t) => {
      const [shared = ''] = makeKeys(1);
      const increment = (value: number) => post(third.url, { key: shared, value });
      await increment(1);
      await untilCounted(servers.database, shared, 1);
      await until('a quiet stream', servers.inspect, ({ messages }) => messages === 0);

      // Frozen between pull and flush, past ack_wait: the other gets the same messages.
      await increment(10);
      await until('a delivery', servers.inspect, ({ ackPending }) => ackPending > 0);
      await freeze(counter);
      await startCounter(t, servers, FAST);
      await untilCounted(servers.database, shared, 11);
      counter.kill('SIGCONT');
      await increment(100);
      await untilCounted(servers.database, shared, 111);
      await until('a quiet stream', servers.inspect, ({ messages }) => messages === 0);
      const { rows } = await sql<{ balanced: boolean }>`
        select (select sum(total) from ledger) = (select sum(value) from increments) as balanced`.execute(
        servers.database,
      );
      t.equal(rows[0]?.balanced, true);
    });
    t.equal(await counter.stop(), 0);
  },
);

function isAccepted({ status }: Answer): boolean {
  return status === 200;
}
