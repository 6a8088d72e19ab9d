import t from 'tap';
import { createRecentKeys } from '../../../gateway/increments/recent-keys.ts';

await t.test('a gateway remembers its last keys, and forgets the older ones', async (t) => {
  const recentKeys = createRecentKeys(10);
  let commits = 0;
  const send = (key: number, payload = 'payload') =>
    recentKeys.storeOnce(`key ${key}`, payload, () =>
      Promise.resolve({ id: 'id', sequence: ++commits }),
    );
  for (let key = 0; key < 25_000; key++) await send(key);

  t.match(await send(24_999), { isReplay: true, receipt: { sequence: 25_000 } });
  t.match(await send(15_000), { isReplay: true, receipt: { sequence: 15_001 } });
  await t.rejects(send(15_000, 'another'), { code: 'idempotency-key-reused' });
  t.equal(commits, 25_000);

  t.match(await send(0), { isReplay: false }, 'forgotten: the ledger knows it');
});

await t.test('a key whose commit failed is committed again', async (t) => {
  const recentKeys = createRecentKeys(10);
  const fail = () => Promise.reject(new Error('in doubt'));
  await t.rejects(recentKeys.storeOnce('key', 'payload', fail), { message: 'in doubt' });
  const stored = await recentKeys.storeOnce('key', 'payload', () =>
    Promise.resolve({ id: 'id', sequence: 1 }),
  );
  t.equal(stored.isReplay, false);
});

await t.test('no more repeats wait than may, and the others are told so', async (t) => {
  const recentKeys = createRecentKeys(2);
  const stored = Promise.withResolvers<{ id: string; sequence: number }>();
  const send = () => recentKeys.storeOnce('key', 'payload', () => stored.promise);
  const waiting = [send(), send(), send()];
  await t.rejects(send(), { code: 'too-many-waiting' });
  stored.resolve({ id: 'id', sequence: 1 });
  for (const { receipt } of await Promise.all(waiting)) t.equal(receipt.sequence, 1);
  t.match(await send(), { isReplay: true }, 'there is room again');
});
