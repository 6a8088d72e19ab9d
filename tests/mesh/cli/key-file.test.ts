import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openApiKeys } from '../../../gateway/auth/api-keys.ts';
import { changeKeys, readKeys } from '../../../mesh/cli/change-keys.ts';
import type { ApiKey } from '../../../schema/http/api-keys.ts';
import { until } from '../../support/until.ts';
import { runCommand } from './run-command.ts';
import { makeFolder, modeOf } from '../../support/folders.ts';

const isRoot = process.getuid?.() === 0;

await t.test('commands that change the keys at once lose none', async (t) => {
  const file = join(makeFolder(t), 'keys.json');
  const module = new URL('../../../mesh/cli/change-keys.ts', import.meta.url).href;
  const script = `
    import { changeKeys } from ${JSON.stringify(module)};
    process.stdin.once('data', async () => {
      for (let index = 0; index < 10; index += 1) {
        const key = { name: process.argv[1] + index, sha256: '0'.repeat(64), scopes: ['read'] };
        await changeKeys(${JSON.stringify(file)}, (keys) => [...keys, key], () => {});
      }
      process.exit();
    });
    console.log('here');`;
  const commands = ['a', 'b', 'c', 'd'].map((name) =>
    spawn(process.execPath, ['--input-type=module', '-e', script, name], {
      env: { PATH: process.env.PATH },
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  await Promise.all(commands.map(({ stdout }) => once(stdout, 'data')));
  const ends = commands.map((command) => once(command, 'exit'));
  for (const { stdin } of commands) stdin.write('go');
  t.strictSame(
    (await Promise.all(ends)).map(([code]) => code),
    [0, 0, 0, 0],
  );
  t.equal(readKeys(file).length, 40);
  t.strictSame(readdirSync(join(file, '..')), ['keys.json'], 'nothing is left beside it');
});

await t.test('the lock of a command that was killed is taken over', async (t) => {
  const file = join(makeFolder(t), 'keys.json');
  writeFileSync(`${file}.lock`, `${process.ppid} 1 an-earlier-boot cleanup`);
  await add(file, 'a');
  t.equal(readKeys(file).length, 1);
});

await t.test('keys can be made before the first start', async (t) => {
  const dataDir = join(makeFolder(t), 'new', 'data');
  const umask = process.umask(0);
  try {
    const { code } = await runCommand('keys add me --scopes write', { DATA_DIR: dataDir });
    t.equal(code, 0);
  } finally {
    process.umask(umask);
  }
  t.equal(modeOf(join(dataDir, 'api-keys.json')), 0o600, 'only ours, whatever the umask');
  t.equal(modeOf(dataDir), isRoot ? 0o711 : 0o700);
});

await t.test('links to the file stay, and what they name is changed', async (t) => {
  // As Kubernetes mounts a secret.
  const folder = makeFolder(t);
  mkdirSync(join(folder, '..v1'));
  symlinkSync('..v1', join(folder, '..data'));
  symlinkSync('..data/keys.json', join(folder, 'keys.json'));
  for (const name of ['a', 'b']) await add(join(folder, 'keys.json'), name);
  t.equal(readlinkSync(join(folder, 'keys.json')), '..data/keys.json');
  t.ok(lstatSync(join(folder, '..v1', 'keys.json')).isFile());
  t.equal(readKeys(join(folder, 'keys.json')).length, 2);

  symlinkSync('circle', join(folder, 'circle'));
  await t.rejects(add(join(folder, 'circle'), 'a'), { message: /its links go in a circle/ });
});

await t.test('a file that others can change is refused, with what to do', async (t) => {
  const file = join(makeFolder(t), 'keys.json');
  await add(file, 'a');
  const before = readFileSync(file, 'utf8');
  chmodSync(file, 0o622);
  for (const line of ['add b --scopes read', 'list', 'revoke a']) {
    const { code, error } = await runCommand(`keys ${line} --file ${file}`, {});
    t.equal(code, 1, line);
    t.match(error, `can be changed by other users: chmod go-w ${file}`);
  }
  t.equal(readFileSync(file, 'utf8'), before);
  t.throws(() => openApiKeys(file, () => {}), {
    name: 'ConfigurationError',
    message: /API_KEYS_FILE: .*chmod go-w/,
  });

  chmodSync(file, 0o644);
  const { code, error } = await runCommand(`keys list --file ${file}`, {});
  t.equal(code, 0);
  t.match(error, `warning: ${file} can be read by all users: chmod o-r ${file}`);
});

await t.test('a change keeps the owner and the mode', { skip: !isRoot }, async (t) => {
  const file = join(makeFolder(t), 'keys.json');
  await add(file, 'a');
  chownSync(file, 0, 12_345);
  chmodSync(file, 0o640);
  await add(file, 'b');
  t.match(statSync(file), { uid: 0, gid: 12_345 });
  t.equal(modeOf(file), 0o640, 'so that a gateway of that group goes on reading it');
});

await t.test('what is no file is refused, not waited for', async (t) => {
  const file = join(makeFolder(t), 'keys.json');
  execFileSync('mkfifo', [file]);
  const { code, error } = await runCommand(`keys list --file ${file}`, {});
  t.equal(code, 1);
  t.match(error, /can't be read: it is no file/);
});

await t.test('more keys than gateways take are refused', async (t) => {
  const file = join(makeFolder(t), 'keys.json');
  const many = Array.from({ length: 10_001 }, (_, index) => keyOf(`k${index}`));
  await t.rejects(
    changeKeys(file, () => many, ignore),
    { message: /can't have 10001 keys: 10000 is the most/ },
  );
  t.notOk(existsSync(file));
});

await t.test('a gateway notices each kind of change within about a second', async (t) => {
  const folder = makeFolder(t);
  const file = join(folder, 'keys.json');
  const target = join(folder, 'v1.json');
  const write = (path: string, name: string) =>
    writeFileSync(path, JSON.stringify({ keys: [keyOf(name)] }), { mode: 0o600 });
  write(target, 'first');
  symlinkSync(target, file);
  const keys = openApiKeys(file, (problem) => t.fail(problem));
  t.teardown(keys.close);
  const secret = 'secret';
  const finds = (name: string) =>
    until(name, () => keys.find(secret)?.name === name, Boolean, 5_000);
  await finds('first');

  write(join(folder, 'draft.json'), 'renamed');
  renameSync(join(folder, 'draft.json'), target);
  await finds('renamed');

  write(target, 'in-place');
  await finds('in-place');

  write(join(folder, 'v2.json'), 'link-swapped');
  symlinkSync('v2.json', join(folder, 'link'));
  renameSync(join(folder, 'link'), file);
  await finds('link-swapped');
});

function add(file: string, name: string): Promise<void> {
  return changeKeys(file, (keys) => [...keys, keyOf(name)], ignore);
}

/** Of the secret `secret`. */
function keyOf(name: string): ApiKey {
  const sha256 = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b';
  return { name, sha256, scopes: ['read'] };
}

function ignore(): void {}
