import t from 'tap';
import { pauseMs, readRetryAfter, RETRY_AFTER_MS_MAX } from '../../client/src/back-off.ts';

void t.test('pauses are drawn from nothing up to a ceiling that doubles, and is bounded', (t) => {
  const ceilings = [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map((attempt) => pauseMs(attempt, 0, () => 1));
  t.strictSame(ceilings, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  t.equal(
    pauseMs(5, 0, () => 0),
    0,
  );
  t.end();
});

void t.test('no pause is shorter than Retry-After, up to a minute', (t) => {
  t.equal(
    pauseMs(1, 2_000, () => 0),
    2_000,
  );
  t.equal(
    pauseMs(1, 2_000, () => 0.5),
    2_050,
  );
  t.equal(
    pauseMs(1, 1e12, () => 0),
    RETRY_AFTER_MS_MAX,
  );
  t.end();
});

void t.test('Retry-After is read as seconds and as an HTTP date', (t) => {
  const now = Date.parse('2026-11-23T08:49:37.000Z');
  const read = (header: string | null) => readRetryAfter(header, now);
  t.equal(read('0'), 0);
  t.equal(read(' 3 '), 3_000);
  t.equal(read('Mon, 23 Nov 2026 08:49:40 GMT'), 3_000);
  t.equal(read('Mon, 23 Nov 2026 08:49:00 GMT'), 0, 'a time that is over');
  for (const wrong of [null, '', '-1', '1.5', '1e3', 'soon', '2026-11-23', 'Mon, GMT']) {
    t.equal(read(wrong), 0, String(wrong));
  }
  t.end();
});
