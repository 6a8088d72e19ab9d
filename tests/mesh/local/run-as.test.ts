import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import t, { type Test } from 'tap';
import { ACCOUNTS, createRunAs } from '../../../mesh/local/run-as.ts';
import { giveFolder } from '../../../mesh/servers/give-folder.ts';
import { until } from '../../support/until.ts';
import { increment, makeDataDir, startMesh, total } from '../mesh-process.ts';
import { makeFolder } from '../../support/folders.ts';

const asRoot = { skip: process.getuid?.() !== 0 && 'only as root' };
const SMALL = {
  GATEWAYS: '1',
  COUNTERS: '1',
  FLUSH_INTERVAL_MS: '500',
  // That of the tests' runner.
  NODE_COMPILE_CACHE: undefined,
};

void t.test('npm start as root runs each kind as a user of its own', asRoot, async (t) => {
  const dataDir = makeDataDir(t);
  // A store that a start as root has left.
  mkdirSync(dataDir, { mode: 0o711 });
  mkdirSync(join(dataDir, 'nats', 'jetstream'), { recursive: true, mode: 0o700 });
  const keysFile = join(dataDir, '..', 'keys.json');
  writeFileSync(keysFile, '{"keys":[]}', { mode: 0o600 });

  const mesh = await startMesh({ dataDir, environment: SMALL });
  const { gateways, counters, nats, postgres } = mesh.describe();
  t.equal(userOf(gateways[0]!.pid), ACCOUNTS.gateway.uid);
  t.equal(userOf(counters[0]!.pid), ACCOUNTS.counter.uid);
  t.equal(userOf(nats[0]!.pid!), ACCOUNTS.nats.uid);
  t.not(userOf(postgres.pid!), 0);
  t.equal(statSync(join(dataDir, 'nats', 'jetstream')).uid, ACCOUNTS.nats.uid);
  t.ok(
    statSync(join(dataDir, 'homes', 'gateway', 'compile')).isDirectory(),
    'compiled code is kept',
  );
  t.notMatch(mesh.output(), /runs as root/);

  const key = randomUUID();
  t.equal(await increment(mesh, key, 5), 200);
  await until('the total', async () => (await total(mesh, key)) === '5');

  for (const file of ['secrets.json', 'mesh.json', 'logs/gateway-1.log']) {
    t.throws(() => readAs(ACCOUNTS.gateway, join(dataDir, file)), /Permission denied/, file);
  }
  const variables = `/proc/${counters[0]!.pid}/environ`;
  t.throws(() => readAs(ACCOUNTS.gateway, variables), /Permission denied/, 'nor its neighbours');
  mesh.child.kill('SIGTERM');
  await mesh.exited;

  await t.test('but a gateway that only root can give its keys, and says so', async (t) => {
    const again = await startMesh({ dataDir, environment: { ...SMALL, API_KEYS_FILE: keysFile } });
    t.equal(userOf(again.describe().gateways[0]!.pid), 0);
    t.equal(userOf(again.describe().counters[0]!.pid), ACCOUNTS.counter.uid);
    t.match(
      stripVTControlCharacters(again.output()),
      `gateway runs as root, not as user 64201: that user can't reach ${keysFile}`,
    );
    again.child.kill('SIGTERM');
    await again.exited;
  });
});

void t.test('what is closed to the user is said once, and the folder named', asRoot, async (t) => {
  const folder = makeOpenFolder(t);
  mkdirSync(join(folder, 'closed'), { mode: 0o700 });
  writeFileSync(join(folder, 'closed', 'file'), '');
  const lines: string[] = [];
  const runAs = createRunAs(folder, (line) => lines.push(line));
  const needs = { paths: [join(folder, 'closed', 'file'), join(folder, 'absent')] };
  t.equal(await runAs('gateway', needs), undefined);
  t.equal(await runAs('gateway', needs), undefined, 'at a restart');
  t.equal(lines.length, 1);
  t.match(lines[0], new RegExp(`can't reach ${folder}/closed\\.`));
  chmodSync(join(folder, 'closed'), 0o711);
  t.match(await runAs('gateway', needs), { account: ACCOUNTS.gateway });
});

void t.test('a store is given without following a link', asRoot, (t) => {
  const folder = makeOpenFolder(t);
  const store = join(folder, 'store');
  mkdirSync(join(store, 'inner'), { recursive: true });
  writeFileSync(join(store, 'inner', 'block'), '');
  for (const name of ['victim', 'linked']) writeFileSync(join(folder, name), '');
  symlinkSync(join(folder, 'victim'), join(store, 'link'));
  linkSync(join(folder, 'linked'), join(store, 'other-name'));
  giveFolder(store, ACCOUNTS.nats);
  t.equal(statSync(join(store, 'inner', 'block')).uid, ACCOUNTS.nats.uid);
  for (const name of ['victim', 'linked']) t.equal(statSync(join(folder, name)).uid, 0, name);
  t.end();
});

function userOf(pid: number): number {
  return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function readAs(account: { uid: number; gid: number }, file: string): void {
  execFileSync('cat', [file], { ...account, cwd: '/', encoding: 'utf8', stdio: 'pipe' });
}

/** One that other users can pass. */
function makeOpenFolder(t: Test): string {
  const folder = makeFolder(t);
  chmodSync(folder, 0o711);
  return folder;
}
