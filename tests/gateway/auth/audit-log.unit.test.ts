import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { compareKeys, openApiKeys } from '../../../gateway/auth/api-keys.ts';
import { createLineBudget } from '../../../gateway/auth/audit-log.ts';
import type { ApiKey, Scope } from '../../../schema/http/api-keys.ts';
import { buildTestGateway } from '../test-gateway.ts';

const keyOf = (name: string, scopes: Scope[] = ['write'], secret = name): ApiKey => ({
  name,
  sha256: createHash('sha256').update(secret).digest('hex'),
  scopes,
});

function createTestLog() {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(String(chunk)) as Record<string, unknown>);
      done();
    },
  });
  return { lines, log: pino({ level: 'info' }, stream) };
}

void t.test('each refused request has a line that says who, where and why', async (t) => {
  const file = join(t.testdir(), 'api-keys.json');
  const expired = { ...keyOf('old', ['write'], 'o-secret'), expires: '2026-01-01T00:00:00.000Z' };
  const keys = [keyOf('writer', ['write'], 'w-secret'), expired];
  writeFileSync(file, JSON.stringify({ keys }));
  const apiKeys = openApiKeys(file, (problem) => t.fail(problem));
  const { lines, log } = createTestLog();
  const { send, post } = await buildTestGateway(t, { apiKeys, log });
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
  await post('/increment', {});
  await post('/increment', {}, bearer('a-wrong-secret'));
  await send('/counters?key=x', { headers: bearer('w-secret') });
  await post('/increment', {}, bearer('o-secret'));
  await send('/absent');
  await send('/livez');
  const where = { address: '127.0.0.1', level: 40 };
  t.match(lines, [
    { ...where, method: 'POST', route: '/increment', reason: 'no-key' },
    { ...where, method: 'POST', route: '/increment', reason: 'unknown-key' },
    { ...where, method: 'GET', route: '/counters', reason: 'forbidden', key: 'writer' },
    { ...where, method: 'POST', route: '/increment', reason: 'expired-key', key: 'old' },
  ]);
  t.equal(lines.length, 4, 'none for the others');
  t.notMatch(JSON.stringify(lines), 'secret', 'no secret is logged');
});

void t.test('without authentication what foreign pages sent has a line too', async (t) => {
  const { lines, log } = createTestLog();
  const { send, post } = await buildTestGateway(t, { log });
  await send('/', { headers: { host: 'evil.example' } });
  await post('/increment', {}, { origin: 'https://evil.example' });
  t.match(lines, [{ reason: 'misdirected' }, { reason: 'cross-origin', route: '/increment' }]);
});

void t.test('a flood of refused requests writes a bounded number of lines', async (t) => {
  const { lines, log } = createTestLog();
  const { send } = await buildTestGateway(t, { log });
  for (let count = 0; count < 100; count++) await send('/', { headers: { host: 'evil.example' } });
  t.equal(lines.length, 10, 'of one address');

  const budget = createLineBudget();
  const take = (address: string) => budget.take(address);
  const taken = Array.from({ length: 1_000 }, (_, index) => take(`10.0.0.${index}`)).filter(
    Boolean,
  );
  t.equal(taken.length, 60, 'of all of them');
  t.equal(budget.restart(), 940, 'the others are counted');
  t.ok(take('10.0.0.1'), 'a minute later there is room again');
  t.equal(budget.restart(), 0);
});

void t.test('a change of the keys is told by name', (t) => {
  const before = [keyOf('same'), keyOf('scopes'), keyOf('secret'), keyOf('limit'), keyOf('gone')];
  const after = [
    keyOf('same'),
    keyOf('scopes', ['read']),
    keyOf('secret', ['write'], 'other'),
    { ...keyOf('limit'), rate_limit_max: 1 },
    keyOf('new'),
  ];
  t.strictSame(compareKeys(before, after), {
    added: ['new'],
    removed: ['gone'],
    changed: ['scopes', 'secret', 'limit'],
  });
  const second = keyOf('same', ['write'], 'second');
  t.match(compareKeys([keyOf('same')], [second, keyOf('same')]), { changed: ['same'] });
  t.match(compareKeys([keyOf('same'), second], [second, keyOf('same')]), { changed: [] });
  t.end();
});
