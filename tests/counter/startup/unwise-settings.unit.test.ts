import t from 'tap';
import { findUnwiseSettings } from '../../../counter/startup/unwise-settings.ts';

void t.test('settings that keep a counter service slow are named at its start', (t) => {
  const find = (MESSAGES_HELD_MAX: number, KEYS_HELD_MAX: number) =>
    findUnwiseSettings({ MESSAGES_HELD_MAX, KEYS_HELD_MAX });
  t.strictSame(find(50_000, 250_000), [], 'the defaults');
  t.strictSame(find(2_000, 10_000), []);
  t.match(find(100, 1_000), [/^MESSAGES_HELD_MAX is 100: /, /^KEYS_HELD_MAX is 1000: /]);
  t.equal(find(100, 1_000).length, 2);
  t.end();
});
