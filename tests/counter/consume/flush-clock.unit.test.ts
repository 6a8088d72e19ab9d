import t, { type Test } from 'tap';
import { createFlushClock } from '../../../counter/consume/flush-clock.ts';
import { STALENESS_MS_MAX } from '../../../schema/bounds.ts';

/** A flush starts up to a quarter second before its time. */
const JITTER_MS_MAX = 250;

function isDueAt(t: Test, dueAgeMs: number, ageMs: number, name: string): void {
  t.ok(dueAgeMs <= ageMs && dueAgeMs >= ageMs - JITTER_MS_MAX, `${name}: ${dueAgeMs} ms`);
}

void t.test('a flush is due at the interval', (t) => {
  isDueAt(t, createFlushClock(3_000).dueAgeMs(1), 3_000, 'short');
  isDueAt(t, createFlushClock(9_000).dueAgeMs(1), 9_000, 'the default');
  t.end();
});

void t.test('the longer flushes take, the sooner the next one starts', (t) => {
  const clock = createFlushClock(9_000);
  clock.record(1_000, 1);
  isDueAt(t, clock.dueAgeMs(1), 7_500, 'twice the time, and half a second');
  clock.record(3_000, 1);
  isDueAt(t, clock.dueAgeMs(1), 3_500, 'by the longest');
  clock.record(10, 1);
  isDueAt(t, clock.dueAgeMs(1), 3_500, 'though the last was short');
  t.ok(clock.dueAgeMs(1) + 2 * 3_000 < STALENESS_MS_MAX, 'in time, if it takes twice as long');
  for (let count = 0; count < 9; count++) clock.record(10, 1);
  isDueAt(t, clock.dueAgeMs(1), 9_000, 'until ten were short');
  t.end();
});

void t.test(
  'the more rows a flush has, the sooner it starts, also where a load begins at once',
  (t) => {
    const clock = createFlushClock(9_000);
    isDueAt(t, clock.dueAgeMs(1_000), 9_000, 'few');
    isDueAt(t, clock.dueAgeMs(100_000), 5_500, 'many, by a guess');
    clock.record(30, 10);
    isDueAt(t, clock.dueAgeMs(100_000), 5_500, 'few rows show nothing');
    clock.record(50, 10_000);
    isDueAt(t, clock.dueAgeMs(100_000), 8_500, 'as a flush has shown');
    clock.record(100, 5_000);
    isDueAt(t, clock.dueAgeMs(100_000), 5_500, 'by the slowest');
    for (let count = 0; count < 10; count++) clock.record(10, 1_000);
    isDueAt(t, clock.dueAgeMs(100_000), 7_500, 'of the last ten');
    t.end();
  },
);

void t.test('a batch is collected for half a second, however slow the database is', (t) => {
  const clock = createFlushClock(9_000);
  clock.record(60_000, 1);
  t.equal(clock.dueAgeMs(1), 500);
  t.equal(createFlushClock(300).dueAgeMs(1), 300, 'or for a shorter interval');
  t.end();
});
