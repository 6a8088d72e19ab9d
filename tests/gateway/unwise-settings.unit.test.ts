import t from 'tap';
import { findUnwiseSettings } from '../../gateway/unwise-settings.ts';

void t.test('a limit that no large batch passes is named at the start of a gateway', (t) => {
  const find = (max: number) => findUnwiseSettings({ RATE_LIMIT_BATCH_MAX: max });
  t.strictSame([find(0), find(10_000)], [[], []]);
  t.match(find(9_999), [/^RATE_LIMIT_BATCH_MAX is 9999: a batch of more increments/]);
  t.end();
});
