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
  const rotated = JSON.parse(await mesh('add shop --scopes write --json')) as object;
  t.notSame(rotated, added, 'a name that is there gets a new secret');
  t.match(await mesh('revoke shop'), /revoked/);
  t.notMatch(await mesh('list'), /shop/);
  await t.rejects(mesh('revoke shop'), { code: 1 });
  await t.rejects(mesh('add a.b! --scopes write'), { code: 2 });
  await t.rejects(mesh('add a --scopes everything'), { code: 2 });
});
