import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openDataFolder, type DataFolder } from '../../../mesh/local/data-folder.ts';
import { makeOwnFolder } from '../../../mesh/local/own-folder.ts';
import { makeFolder, modeOf } from '../../support/folders.ts';

const asRoot = { skip: process.getuid?.() !== 0 && 'only as root' };
const SOMEBODY = 12_345;

await t.test('a data folder is made with its parents, whatever the umask', async (t) => {
  const path = join(makeFolder(t), 'a', 'b', 'data');
  const umask = process.umask(0o077);
  try {
    (await open(path)).release();
  } finally {
    process.umask(umask);
  }
  const isRoot = process.getuid?.() === 0;
  t.equal(modeOf(path), isRoot ? 0o711 : 0o700);
  if (isRoot) for (const parent of ['..', '../..']) t.equal(modeOf(join(path, parent)), 0o711);
  t.equal(modeOf(join(path, 'secrets.json')), 0o600);
});

await t.test('what the user made is taken as it is', async (t) => {
  const folder = makeFolder(t);
  const mounted = join(folder, 'mounted');
  mkdirSync(join(mounted, 'lost+found'), { recursive: true });
  chmodSync(mounted, 0o755);
  symlinkSync(mounted, join(folder, 'link'));
  // Nothing of ours, so it is nobody's business.
  symlinkSync('/etc/passwd', join(mounted, 'notes'));
  const opened = await open(join(folder, 'link'));
  t.equal(opened.path, mounted);
  opened.release();
  t.equal(modeOf(mounted), 0o755);
  (await open(mounted)).release();
});

await t.test(
  'a data folder of somebody else is refused, and nothing touched',
  asRoot,
  async (t) => {
    const folder = makeFolder(t);
    const path = join(folder, 'data');
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'precious');
    mkdirSync(join(path, 'logs'), { recursive: true });
    writeFileSync(join(path, 'secrets.json'), '{"nats":{"gateway":"planted"}}');
    symlinkSync(victim, join(path, 'logs', 'gateway-1.log'));
    execFileSync('chown', ['-Rh', String(SOMEBODY), path]);

    await refused(t, path, /data belongs to another user \(12345\)/);
    t.strictSame(readdirSync(path).toSorted(), ['logs', 'secrets.json'], 'no lock, no folder');
    chownSync(path, 0, 0);
    await refused(t, path, /secrets\.json belongs to another user/);
    chownSync(join(path, 'secrets.json'), 0, 0);
    await refused(t, path, /logs belongs to another user/);
    chownSync(join(path, 'logs'), 0, 0);
    await refused(t, path, /logs\/gateway-1\.log is a symbolic link/);
    t.equal(readFileSync(victim, 'utf8'), 'precious');
  },
);

await t.test('a link of somebody else to a folder of ours is refused', asRoot, async (t) => {
  const folder = makeFolder(t);
  mkdirSync(join(folder, 'ours'), { mode: 0o700 });
  symlinkSync(join(folder, 'ours'), join(folder, 'link'));
  execFileSync('chown', ['-h', String(SOMEBODY), join(folder, 'link')]);
  await refused(t, join(folder, 'link'), /link is a symbolic link that belongs to another user/);
  t.strictSame(readdirSync(join(folder, 'ours')), []);
});

await t.test('a data folder that others can change is refused', async (t) => {
  for (const mode of [0o770, 0o707, 0o777, 0o1777]) {
    const path = join(makeFolder(t), 'data');
    mkdirSync(path);
    chmodSync(path, mode);
    await refused(
      t,
      path,
      new RegExp(`can be changed by other users \\(mode ${mode.toString(8)}\\)`),
    );
    t.strictSame(readdirSync(path), []);
  }
});

await t.test('no link is followed in a data folder', async (t) => {
  for (const name of ['logs', 'clients', 'processes', 'nats', 'postgres', 'clients/nats']) {
    const folder = makeFolder(t);
    const path = makeOwnFolder(join(folder, 'data'));
    if (name.includes('/')) mkdirSync(join(path, 'clients'), { mode: 0o700 });
    mkdirSync(join(folder, 'elsewhere'));
    symlinkSync(join(folder, 'elsewhere'), join(path, name));
    await refused(t, path, new RegExp(`${name} is a symbolic link`));
    t.strictSame(readdirSync(join(folder, 'elsewhere')), []);
  }
  for (const name of ['secrets.json', 'ports.json', 'mesh.json', 'topology', 'lock']) {
    const folder = makeFolder(t);
    const path = makeOwnFolder(join(folder, 'data'));
    symlinkSync(join(folder, 'elsewhere'), join(path, name));
    await refused(t, path, new RegExp(`${name} is a symbolic link`));
    t.equal(lstatSync(join(folder, 'elsewhere'), { throwIfNoEntry: false }), undefined);
  }
});

await t.test('a named pipe in the place of a file is refused, not waited for', async (t) => {
  const path = makeOwnFolder(join(makeFolder(t), 'data'));
  execFileSync('mkfifo', [join(path, 'secrets.json')]);
  await refused(t, path, /secrets\.json is neither a file nor a folder/);
});

await t.test('a data folder that can not be made is one line', async (t) => {
  const path = join(makeFolder(t), 'file');
  writeFileSync(path, '');
  await refused(t, join(path, 'data'), /can't be used: ENOTDIR/);
  await refused(t, path, /file is not a folder/);
});

async function refused(t: Test, path: string, message: RegExp): Promise<void> {
  const error = await open(path).then(
    () => undefined,
    (reason: Error) => reason,
  );
  t.match(error, { name: 'StartError', message });
  t.notMatch(error?.message, /\n/, 'in one line');
}

function open(path: string): Promise<DataFolder> {
  return openDataFolder(path, { say: () => {}, signal: new AbortController().signal });
}
