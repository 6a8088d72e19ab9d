import fc from 'fast-check';
import t from 'tap';
import { createEventQueue } from './event-queue.ts';
import { simulateQueues, type QueueSimulation } from './simulate-queues.ts';

const SYNC_MS = 0.2;
const COSTS = {
  gateway: { acceptMs: 0.01, answerMs: 0.005, publishMs: 0.05 },
  leader: { messageMs: 0.04, incrementMs: 0.001, logMs: 0.01 },
  syncMs: [SYNC_MS],
  networkMs: 0.1,
};
/** Of a message with one increment. */
const SERVICE_MS = 0.241;

function simulate(changes: Partial<QueueSimulation> = {}) {
  return simulateQueues({
    seed: 1,
    gateways: 1,
    brokers: 1,
    load: { requestsPerSecond: 1_000 },
    costs: COSTS,
    warmupMs: 200,
    measuredMs: 1_000,
    ...changes,
  });
}

void t.test('the same seed has the same figures, another seed others', (t) => {
  t.strictSame(simulate(), simulate());
  t.notSame(simulate(), simulate({ seed: 2 }));
  t.end();
});

void t.test('a request alone waits for its own message', (t) => {
  const { latency, pack } = simulate({ load: { requestsPerSecond: 10 }, measuredMs: 10_000 });
  const ownMs = 0.01 + 0.05 + 0.1 + SERVICE_MS + 0.1 + 0.005;
  t.ok(Math.abs(latency.p50 - ownMs) < 1e-9, `${latency.p50} is ${ownMs}`);
  t.equal(pack.p50, 1);
  t.end();
});

void t.test('three brokers add two syncs and a way there and back', (t) => {
  const load = { requestsPerSecond: 10 };
  const [one, three] = ([1, 3] as const).map((brokers) =>
    simulate({ load, measuredMs: 10_000, brokers }),
  );
  const more = three!.latency.p50 - one!.latency.p50;
  const expected = 2 * (0.01 + SYNC_MS) + 2 * COSTS.networkMs;
  t.ok(Math.abs(more - expected) < 1e-9, `${more} is ${expected}`);
  t.equal(three!.syncsPerSecond, 2 * three!.messagesPerSecond);
  t.end();
});

void t.test(
  'what comes is answered, and the leader is busy for as long as its messages take',
  (t) => {
    const load = { requestsPerSecond: 20_000 };
    const { requestsPerSecond, messagesPerSecond, pack, busy, refused } = simulate({ load });
    t.ok(Math.abs(requestsPerSecond - 20_000) < 1_000, String(requestsPerSecond));
    const expected = (messagesPerSecond * (0.24 + pack.mean * 0.001)) / 1_000;
    t.ok(Math.abs(busy.leader - expected) < 0.01, `${busy.leader} is ${expected}`);
    t.equal(refused, 0);
    t.end();
  },
);

void t.test('clients that wait for their answers never have more under way than they are', (t) => {
  for (const connections of [1, 16, 64]) {
    const { requestsPerSecond, latency, pack } = simulate({
      load: { connections, clientMs: 0.005 },
    });
    t.ok((requestsPerSecond * latency.p50) / 1_000 <= connections * 1.1, `${connections}`);
    t.ok(pack.p99 <= connections);
  }
  t.end();
});

void t.test('a leader that is always busy makes packs larger and answers later', (t) => {
  const load = { requestsPerSecond: 100_000 };
  const [ten, hundred] = [10, 100].map((gateways) => simulate({ load, gateways }));
  for (const figures of [ten!, hundred!]) {
    t.ok(figures.messagesPerSecond < 1_000 / 0.24);
    t.ok(figures.busy.leader > 0.95);
  }
  t.ok(hundred!.latency.p50 > 5 * ten!.latency.p50, 'each gateway waits for all others');
  t.end();
});

void t.test('the log of three brokers syncs together what waits together', (t) => {
  const load = { requestsPerSecond: 3_000 };
  const { syncsPerSecond, messagesPerSecond } = simulate({ load, gateways: 100, brokers: 3 });
  t.ok(syncsPerSecond > messagesPerSecond && syncsPerSecond < 1.9 * messagesPerSecond);
  t.end();
});

void t.test('a full queue refuses', (t) => {
  const figures = simulate({ load: { requestsPerSecond: 1_000_000 } });
  t.ok(figures.refused > 0);
  t.equal(figures.pack.p99, 500, 'no message has more');
  t.end();
});

void t.test('events come in the order of their times', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (times) => {
      const events = createEventQueue();
      for (const at of times) events.add(at, () => undefined);
      const seen = times.map(() => events.next()!.at);
      return (
        events.next() === undefined && String(seen) === String(times.toSorted((a, b) => a - b))
      );
    }),
  );
  t.end();
});
