import t from 'tap';
import { within } from '../../../mesh/cli/doctor/within.ts';

void t.test('a part that fails or never answers is missing, and says why', async (t) => {
  t.strictSame(await within(1_000, () => ({ a: 1 })), { a: 1 });
  t.strictSame(await within(10, () => new Promise<object>(() => {})), {
    missing: 'no answer within 0.01 s',
  });
  const failing = within(1_000, () => {
    throw new Error('it is gone');
  });
  t.strictSame(await failing, { missing: 'it is gone' });
});
