import { performance } from 'node:perf_hooks';
import t from 'tap';
import { createDeadlineTimer } from '../../../counter/consume/deadline-timer.ts';

void t.test('an alarm rings at its time, and at once when the time has come closer', async (t) => {
  let time = performance.now() + 50;
  const alarm = createDeadlineTimer(() => time);
  await alarm.sleep();
  // Node's timers count whole milliseconds, and may ring a fraction of one early.
  t.ok(performance.now() > time - 1, 'not before its time');

  // With nothing to wait for, only a check can wake whoever sleeps.
  time = Infinity;
  let isAwake = false;
  const sleeping = alarm.sleep().then(() => (isAwake = true));
  alarm.check();
  await Promise.resolve();
  t.notOk(isAwake, 'a check that finds no earlier time changes nothing');
  time = performance.now() + 10_000;
  alarm.check();
  await sleeping;
  t.ok(performance.now() < time, 'whoever sleeps looks again');

  alarm.check();
  time = performance.now() - 1;
  await alarm.sleep();
  t.pass('a time that has passed does not sleep');
});
