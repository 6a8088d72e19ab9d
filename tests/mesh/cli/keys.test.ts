import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openApiKeys } from '../../../gateway/auth/api-keys.ts';
import { runCommand } from './run-command.ts';

void t.test('API keys are added, listed and revoked, and the secret is shown once', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'keys.json');
  const mesh = async (line: string) => {
    const { code, output } = await runCommand(`keys ${line} --file ${file}`, {});
    if (code !== 0) throw Object.assign(new Error(output), { code });
    return output;
  };

  const added = JSON.parse(await mesh('add shop --scopes write,read --json')) as {
    secret: string;
  };
  t.match(added.secret, /^imk_[\w-]{43}$/);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.notMatch(readFileSync(file, 'utf8'), added.secret, 'only its hash is kept');
  const keys = openApiKeys(file, (problem) => t.fail(problem));
  t.match(keys.find(added.secret), {
    name: 'shop',
    sha256: createHash('sha256').update(added.secret).digest('hex'),
    scopes: ['write', 'read'],
  });
  t.equal(keys.find('imk_other'), undefined);
  keys.close();

  t.match(await mesh('add slow --scopes write --rate-limit 5'), /shown only here/);
  t.match(JSON.parse(await mesh('list --json')), {
    keys: [{ name: 'shop' }, { name: 'slow', rate_limit_max: 5 }],
  });
  const remade = JSON.parse(await mesh('add shop --scopes write --json')) as object;
  t.notSame(remade, added, 'a name that is there gets a new secret');
  t.match(await mesh('revoke shop'), /revoked/);
  t.notMatch(await mesh('list'), /shop/);
  await t.rejects(mesh('revoke shop'), { code: 1 });
  await t.rejects(mesh('add a.b! --scopes write'), { code: 2 });
  await t.rejects(mesh('add a --scopes everything'), { code: 2 });
  const former = await runCommand(`keys add a --scopes admin --file ${file}`, {});
  t.equal(former.code, 2);
  t.match(former.error, /--scopes operate/);
});

void t.test('a rotated key has two valid secrets, of which the old one ends', async (t) => {
  const file = join(t.testdir(), 'keys.json');
  const mesh = (line: string) => runCommand(`keys ${line} --file ${file}`, {});
  const { secret: old } = (
    await mesh('add web --scopes write --rate-limit 5 --expires 90d --json')
  ).answer() as Added;
  const rotated = await mesh('rotate web --overlap 1h --json');
  const { secret, expires, old_until: oldUntil } = rotated.answer() as Added;

  const keys = openApiKeys(file, (problem) => t.fail(problem));
  t.teardown(keys.close);
  const same = { name: 'web', scopes: ['write'], rate_limit_max: 5 };
  t.match(keys.find(old), same);
  t.match(keys.find(secret), same);
  const { now } = Date;
  t.teardown(() => (Date.now = now));
  t.ok(Date.parse(oldUntil) <= now() + 3_600_000, 'the overlap is the one that was asked for');
  Date.now = () => Date.parse(oldUntil);
  t.equal(keys.find(old), undefined, 'after the overlap only the new one');
  t.match(keys.find(secret), same);
  Date.now = () => Date.parse(expires);
  t.equal(keys.find(secret), undefined, 'which lasts as long as the old one was made for');
  Date.now = now;

  const third = await mesh('rotate web');
  t.equal(third.code, 1);
  t.match(third.error, /web has two valid secrets already until .* --overlap 0/);
  t.match((await mesh('list')).output, /web .*\nweb /, 'one line a secret');
  t.equal((await mesh('rotate web --overlap 0')).code, 0);
  const left = (await mesh('list --json')).answer() as { keys: object[] };
  t.equal(left.keys.length, 1, 'the others ended at once');
  t.equal((await mesh('revoke web')).code, 0);
  const none = await mesh('rotate web');
  t.equal(none.code, 1);
  t.match(none.error, /there is no key web/);
  for (const line of [
    'add a --scopes read --expires 2020-01-01',
    'add a --scopes read --expires tomorrow',
    'add a --scopes read --expires 99999d',
    'rotate a --overlap 91d',
    'rotate a --overlap soon',
  ])
    t.equal((await mesh(line)).code, 2, line);
});

interface Added {
  secret: string;
  expires: string;
  old_until: string;
}
