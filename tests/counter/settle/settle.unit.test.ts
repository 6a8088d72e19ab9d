import { setImmediate as nextTurn } from 'node:timers/promises';
import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { StoresDisagree } from '../../../counter/settle/compare-stores.ts';
import { createSettler } from '../../../counter/settle/settle.ts';
import { createLog } from '../../../telemetry/log.ts';

/** No longer than the margin, so that everything is due at once. */
const ACK_WAIT_MS = 2_000;
const TICK_MS = 500;

function createWith(t: Test, sequences: number[]) {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const sent: string[] = [];
  let purge = () => Promise.resolve(0);
  const settler = createSettler({
    ackWaitMs: ACK_WAIT_MS,
    purge: () => purge(),
    send: (reply, kind) => sent.push(`${kind} ${reply}`),
    log: createLog('counter', 'silent'),
  });
  settler.add(
    sequences.map((sequence) => ({
      sequence,
      reply: `reply ${sequence}`,
      ackWaitFrom: performance.now(),
    })),
  );
  return {
    settler,
    sent,
    setPurge: (next: () => Promise<number>) => (purge = next),
    tick: async () => {
      mock.timers.tick(TICK_MS);
      await nextTurn();
    },
  };
}

const madeAgain = () =>
  Promise.reject(new StoresDisagree('stream-made-again', 'the stream was made again'));

void t.test('what no purge takes is extended, and then acknowledged by itself', async (t) => {
  const { settler, sent, tick } = createWith(t, [1, 2]);
  await tick();
  t.strictSame(sent.splice(0), ['+WPI reply 1', '+WPI reply 2']);
  await tick();
  t.strictSame(sent, ['+ACK reply 1', '+ACK reply 2']);
  t.equal(settler.pending, 0);
});

void t.test('what a purge takes needs no acknowledgement', async (t) => {
  const { settler, sent, setPurge, tick } = createWith(t, [1, 2]);
  await tick();
  setPurge(() => Promise.resolve(1));
  await tick();
  t.strictSame(sent.splice(0), ['+WPI reply 1', '+WPI reply 2', '+ACK reply 2']);
  t.equal(settler.pending, 0);
});

void t.test('nothing overdue is acknowledged in a stream that is another one', async (t) => {
  const { settler, sent, setPurge, tick } = createWith(t, [1]);
  setPurge(madeAgain);
  await tick();
  await tick();
  await tick();
  t.strictSame(sent, ['+WPI reply 1']);
  t.equal(settler.pending, 1, 'it waits');
  setPurge(() => Promise.resolve(0));
  await tick();
  t.strictSame(sent.at(-1), '+ACK reply 1');
});

void t.test('nothing is acknowledged at a stop in a stream that is another one', async (t) => {
  const { settler, sent, setPurge } = createWith(t, [1]);
  setPurge(madeAgain);
  await settler.finish(0);
  t.strictSame(sent, []);
});

void t.test('what is left at a stop is acknowledged in the stream that it came from', async (t) => {
  const { settler, sent } = createWith(t, [1]);
  await settler.finish(0);
  t.strictSame(sent, ['+ACK reply 1']);
});

void t.test('purges that are asked for at once share one run', async (t) => {
  const { settler, setPurge } = createWith(t, [1, 2]);
  let runs = 0;
  const purged = Promise.withResolvers<number>();
  setPurge(() => {
    runs++;
    return purged.promise;
  });
  const settling = [settler.settle(), settler.settle()];
  purged.resolve(2);
  t.strictSame(await Promise.all(settling), [true, true]);
  t.equal(runs, 1);
  t.equal(settler.pending, 0);
});
