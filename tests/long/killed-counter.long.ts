import t from 'tap';
import { checkKill } from '../end-to-end/killed-counter.ts';

/** After a flush of the one that is killed: it holds little, half of what it may, and all of it. */
const MOMENTS_MS = [300, 2_500, 5_000, 8_000];

// They wait more than they compute.
t.jobs = 2;

for (const requestsPerSecond of [20, 60, 200, 3_000]) {
  for (const afterMs of MOMENTS_MS) {
    void t.test(
      `at ${requestsPerSecond}/s, killed ${afterMs} ms after a flush, 13 s at most`,
      // Under load they would take each other's time.
      { buffered: requestsPerSecond < 1_000 },
      (t) => checkKill(t, { requestsPerSecond, afterMs, afterFlush: true }),
    );
  }
}
