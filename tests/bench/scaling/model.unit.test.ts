import t from 'tap';
import { rowsPerSecond } from './model.ts';

const LOAD = { batch: 1, pack: 100, brokers: 1 } as const;

void t.test('few keys are written once a flush by each counter service', (t) => {
  const rows = (counters: number) =>
    rowsPerSecond({ ...LOAD, incrementsPerSecond: 1e6, counters, keys: 900 });
  t.ok(Math.abs(rows(1) - 100) < 1e-9);
  t.ok(Math.abs(rows(4) - 400) < 1e-9);
  t.end();
});

void t.test('of many keys nearly every increment is a row', (t) => {
  const rows = rowsPerSecond({ ...LOAD, incrementsPerSecond: 1e6, counters: 4, keys: 1e12 });
  t.ok(rows > 999_000 && rows <= 1e6, String(rows));
  t.end();
});

void t.test(
  'a counter service that has too many keys flushes sooner and adds fewer together',
  (t) => {
    const rows = rowsPerSecond({ ...LOAD, incrementsPerSecond: 1e6, counters: 1, keys: 250_000 });
    // Half of all keys are met after ln 2 increments a key.
    const expected = 125_000 / (0.25 * Math.LN2);
    t.ok(Math.abs(rows - expected) < 1, `${rows} is ${expected}`);
    t.end();
  },
);
