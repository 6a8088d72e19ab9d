import t from 'tap';
import { formatTime, readExpiry, readOverlap } from '../../../mesh/cli/key-times.ts';
import { rotateSecret } from '../../../mesh/cli/rotate-key.ts';
import type { ApiKey } from '../../../schema/http/api-keys.ts';

const NOW = Date.parse('2026-11-01T12:00:00Z');
const DAY_MS = 86_400_000;

void t.test('an expiry is a duration from now, or a time to come in UTC', (t) => {
  t.equal(readExpiry('90d', NOW), NOW + 90 * DAY_MS);
  t.equal(readExpiry('12h', NOW), NOW + DAY_MS / 2);
  t.equal(readExpiry('2030-01-31', NOW), Date.parse('2030-01-31T00:00:00Z'));
  t.equal(readExpiry('2030-01-31T18:00Z', NOW), Date.parse('2030-01-31T18:00:00Z'));
  for (const over of ['2026-11-01', '2026-11-01T12:00:00Z', '0d'])
    t.throws(() => readExpiry(over, NOW), { message: /is over/ }, over);
  for (const wrong of ['', '90', '-1d', '1w', '2030-13-01', '2030-01-31T18:00', '3661d', 'never'])
    t.throws(() => readExpiry(wrong, NOW), { message: /is not understood/ }, wrong);
  t.equal(readOverlap('0'), 0);
  t.equal(readOverlap('24h'), DAY_MS);
  t.equal(formatTime('2030-01-31T18:00:59.999Z'), '2030-01-31 18:00');
  t.end();
});

void t.test('a rotation never makes the old secret last longer', (t) => {
  const key: ApiKey = { name: 'web', sha256: 'a'.repeat(64), scopes: ['write'] };
  const other: ApiKey = { ...key, name: 'other' };
  const rotation = { sha256: 'b'.repeat(64), now: NOW, overlapMs: DAY_MS, expiresAt: undefined };
  const until = new Date(NOW + DAY_MS).toISOString();
  const created = new Date(NOW).toISOString();
  t.strictSame(rotateSecret([key, other], 'web', rotation), [
    other,
    { ...key, expires: until },
    { ...key, sha256: rotation.sha256, created },
  ]);

  const soon = new Date(NOW + 1_000).toISOString();
  const early = { ...key, created: new Date(NOW - 1_000).toISOString(), expires: soon };
  const [kept, added] = rotateSecret([early], 'web', rotation);
  t.equal(kept?.expires, soon);
  t.equal(added?.expires, new Date(NOW + 2_000).toISOString(), 'the new one lasts as long');

  const expired = { ...early, expires: created };
  t.equal(rotateSecret([expired], 'web', rotation).length, 1, 'what has expired is removed');
  const { created: _, ...byHand } = early;
  t.throws(() => rotateSecret([byHand], 'web', rotation), { message: /give --expires/ });
  t.end();
});
