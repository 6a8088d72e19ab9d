import t from 'tap';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';

await t.test('what is new is said at once, what goes on once a minute', (t) => {
  const said: string[] = [];
  let nowMs = 5;
  const warn = throttleWarnings({ warn: (line) => void said.push(line) }, () => nowMs);
  warn('away');
  warn('away');
  warn('refused');
  warn('away');
  t.strictSame(said, ['away', 'refused']);
  nowMs += 59_999;
  warn('away');
  nowMs += 1;
  warn('away');
  t.strictSame(said, ['away', 'refused', 'away']);
  t.end();
});

await t.test('reasons that never repeat do not pile up', (t) => {
  let count = 0;
  const warn = throttleWarnings({ warn: () => void count++ }, () => 0);
  for (let reason = 0; reason < 20; reason++) warn(`reason ${reason}`);
  warn('reason 19');
  t.equal(count, 20, 'the latest are remembered');
  warn('reason 0');
  t.equal(count, 21, 'the oldest are not');
  t.end();
});
