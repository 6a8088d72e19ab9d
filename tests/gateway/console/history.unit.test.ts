import t from 'tap';
import type { MeshEvent } from '../../../schema/message/heartbeat.ts';

// The page is plain JavaScript, for browsers.
const load = (name: string): Promise<unknown> =>
  import(new URL(`../../../gateway/console/page/${name}`, import.meta.url).href);

interface Sample {
  at: number;
  accepted?: number;
  committed?: number;
  errors: Record<string, number>;
}
interface History {
  record: (event: MeshEvent, now: number) => void;
  samples: Sample[];
  flushes: Map<string, object>;
  highest: Record<'stored' | 'counted', { value: string } | undefined>;
  recentErrors: (now: number) => Map<string, number>;
}
const { createHistory } = (await load('history.js')) as {
  createHistory: (saved: string | null, now: number) => History;
};
const { writeSaved } = (await load('saved-history.js')) as {
  writeSaved: (history: History) => string;
};

const START = 1_700_000_000_000;
type Instance = MeshEvent['instances'][number];
type Gateway = Extract<Instance, { name: 'gateway' }>;
type Counter = Extract<Instance, { name: 'counter' }>;

function gateway(id: string, uptimeMs: number, stats: Partial<Gateway['stats']>): Gateway {
  const own = { id, version: '', uptime_ms: uptimeMs, is_stopping: false, silent_ms: 0 };
  return { ...own, name: 'gateway', stats: { responses: {}, ...stats } } as Gateway;
}

function counter(
  id: string,
  uptimeMs: number,
  committed: number,
  activity: Partial<Counter['activity']> = {},
): Counter {
  const own = { id, version: '', uptime_ms: uptimeMs, is_stopping: false, silent_ms: 0 };
  const stats = { increments_committed: committed, worst_staleness_ms: 0 };
  return { ...own, name: 'counter', stats, activity: { flushes: [], ...activity } } as Counter;
}

const eventOf = (...instances: Instance[]) => ({ findings: [], instances }) as unknown as MeshEvent;

void t.test('rates are known though counts stand still between flushes', (t) => {
  const history = createHistory(null, START);
  for (let second = 0; second <= 60; second++) {
    const uptimeMs = 1_000 * second + 500;
    // 100 increments a second, which are committed every nine seconds.
    const committed = Math.floor(second / 9) * 900;
    history.record(
      eventOf(
        gateway('g', uptimeMs, { increments_accepted: second * 100 }),
        counter('c', uptimeMs, committed),
      ),
      START + uptimeMs,
    );
  }
  const steady = history.samples.slice(20);
  t.ok(
    steady.every(({ accepted }) => accepted === 100),
    'accepted',
  );
  t.ok(
    steady.every(({ committed }) => committed === 100),
    `committed: ${steady.map(({ committed }) => committed).join(' ')}`,
  );
  // From here on nothing is committed any more.
  for (let second = 61; second <= 80; second++) {
    const event = eventOf(counter('c', 1_000 * second, 5_400));
    history.record(event, START + 1_000 * second + 500);
  }
  t.equal(history.samples.at(-1)?.committed, 0);
  // What has waited is committed in flushes that follow each other at once.
  for (const second of [81, 82]) {
    const event = eventOf(counter('c', 1_000 * second, 5_400 + (second - 80) * 2_000));
    history.record(event, START + 1_000 * second + 500);
  }
  t.equal(history.samples.at(-1)?.committed, 400, 'an average, not 2 000 of one second');
  t.equal(history.samples.at(-1)?.accepted, undefined, 'unknown while no gateway is heard');
  t.end();
});

void t.test('errors are those of the last minute', (t) => {
  const history = createHistory(null, START);
  const see = (second: number, responses: Record<string, number>, id = 'g', uptimeMs?: number) =>
    history.record(
      eventOf(gateway(id, uptimeMs ?? 3_600_000 + second * 1_000, { responses })),
      START + second * 1_000,
    );
  see(0, { 200: 900, 422: 70 });
  t.strictSame([...history.recentErrors(START)], [], 'not those before the page was opened');
  see(1, { 200: 950, 422: 72, 503: 1 });
  see(2, { 200: 990, 422: 73, 503: 1 });
  const now = START + 2_000;
  t.strictSame(Object.fromEntries(history.recentErrors(now)), { 422: 3, 503: 1 });
  see(40, { 503: 5 }, 'another', 10_000);
  t.equal(history.recentErrors(START + 40_000).get('503'), 6, 'a gateway that was started since');
  t.strictSame([...history.recentErrors(START + 80_000)], [['503', 5]]);
  t.end();
});

void t.test('totals never go back', (t) => {
  const history = createHistory(null, START);
  const see = (second: number, ...reports: [stored: number, counted: string][]) =>
    history.record(
      eventOf(
        ...reports.map(([stored, counted], index) =>
          counter(`c${index}`, second * 1_000, 0, {
            stream: { messages: 0, oldest_age_ms: 0, last_sequence: stored },
            increments_counted: counted,
          }),
        ),
      ),
      START + second * 1_000,
    );
  const shown = () => [history.highest.stored?.value, history.highest.counted?.value];
  see(1, [900, '9007199254740993'], [880, '100']);
  t.strictSame(shown(), ['900', '9007199254740993'], 'the largest, with every digit');
  // The one that knew most has died.
  see(2, [880, '100']);
  t.strictSame(shown(), ['900', '9007199254740993']);
  see(3);
  t.strictSame(shown(), ['900', '9007199254740993'], 'while nobody reports');
  // The stream was made again: after a minute what is reported is right.
  see(70, [5, '3']);
  t.strictSame(shown(), ['5', '3']);
  t.end();
});

void t.test('a reload keeps the history, and no other version spoils it', (t) => {
  const history = createHistory(null, START);
  for (let second = 0; second < 400; second++) {
    const uptimeMs = 1_000 * second + 1;
    const flush = { number: second, age_ms: 1, duration_ms: 5, staleness_ms: null, rows: 1 };
    const activity = { flushes: [flush], increments_counted: '12' };
    history.record(
      eventOf(
        gateway('g', uptimeMs, { increments_accepted: second, responses: { 503: second } }),
        counter('c', uptimeMs, second, activity),
      ),
      START + uptimeMs,
    );
  }
  const now = START + 400_000;
  const saved = writeSaved(history);
  t.ok(saved.length < 100_000, `bounded: ${saved.length} characters`);
  const again = createHistory(saved, now);
  t.ok(again.samples.length > 290 && again.samples.length < 310, 'five minutes of samples');
  t.strictSame(again.samples.at(-1), history.samples.at(-1));
  t.equal(again.flushes.size, history.flushes.size);
  t.equal(again.highest.counted?.value, '12');
  t.ok((again.recentErrors(now).get('503') ?? 0) > 50);
  t.equal(createHistory(saved, now + 600_000).samples.length, 0, 'what is too old is left out');

  const at = now - 1_000;
  const strange = [
    'not JSON',
    'null',
    '[1]',
    '{"samples":{"at":1},"flushes":7,"commits":"x","highest":[]}',
    JSON.stringify({ samples: [null, 3, { at }, { at: 'x', errors: {} }, { at, errors: [{}] }] }),
    JSON.stringify({ flushes: [null, [1], ['a', null], ['a', { at }], ['a', { at, rows: '1' }]] }),
    JSON.stringify({ commits: [['c', { grown: [], intervalMs: 1 }]], samples: 1 }),
    JSON.stringify({
      commits: [
        ['c', null],
        ['c', { grown: 'x', intervalMs: 1 }],
      ],
      highest: { stored: { value: 'x', at }, counted: 1 },
    }),
  ];
  for (const text of strange) {
    const empty = createHistory(text, now);
    t.strictSame([empty.samples.length, empty.flushes.size], [0, 0], text);
    t.strictSame(empty.highest, { stored: undefined, counted: undefined }, text);
    empty.record(eventOf(counter('c', 1_000, 1)), now);
  }
  t.end();
});
