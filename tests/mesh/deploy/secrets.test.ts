import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import t, { type Test } from 'tap';
import { CounterConfig } from '../../../counter/config.ts';
import { GatewayConfig } from '../../../gateway/config.ts';
import { ProvisionConfig } from '../../../mesh/deploy/config.ts';
import { makeSecrets, USERS } from '../../../mesh/deploy/secrets.ts';
import { readEnvironment } from '../../../schema/settings/environment.ts';

const NATS_SERVERS = ['nats-1', 'nats-2', 'nats-3'];
const isRoot = process.getuid?.() === 0;
/** Only root can give files away; the rest of us test with our own. */
const users = isRoot
  ? USERS
  : (Object.fromEntries(
      Object.keys(USERS).map((user) => [user, process.getuid?.() ?? 0]),
    ) as typeof USERS);

await t.test('each file is readable by its own user and by nobody else', (t) => {
  const folder = makeFolder(t);
  makeSecrets(folder, NATS_SERVERS, users);
  const owners: Record<string, number> = {
    'gateway.env': users.gateway,
    'counter.env': users.counter,
    'prepare.env': users.prepare,
    'nats.env': users.nats,
    'inspector/nats/context/mesh.json': users.inspector,
    'inspector/nats/context/servers.json': users.inspector,
    'postgres-password': users.postgres,
    'grafana-password': users.grafana,
    'passwords.env': process.getuid?.() ?? 0,
  };
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  t.same(files.toSorted(), Object.keys(owners).toSorted());
  for (const [file, owner] of Object.entries(owners)) {
    const { mode, uid } = statSync(join(folder, file));
    t.equal(mode & 0o777, 0o400, `${file}: its mode`);
    t.equal(uid, owner, `${file}: its owner`);
  }
  t.end();
});

await t.test('the services take them, and no two passwords are the same', (t) => {
  const folder = makeFolder(t);
  makeSecrets(folder, NATS_SERVERS, users);
  const read = (file: string) => parseEnv(readFileSync(join(folder, file), 'utf8'));
  const gateway = readEnvironment(GatewayConfig, read('gateway.env'));
  t.match(gateway.NATS_URL, /^(nats:\/\/gateway:p[0-9a-f]{32}@nats-[123]:4222,?){3}$/);
  t.match(gateway.DATABASE_URL, /^postgres:\/\/mesh_gateway:.+@postgres:5432\/increments$/);
  t.match(readEnvironment(CounterConfig, read('counter.env')).NATS_URL, /^nats:\/\/counter:/);
  const provision = readEnvironment(ProvisionConfig, read('prepare.env'));
  t.match(provision.NATS_URL, /^nats:\/\/provisioner:/);
  t.match(provision.DATABASE_URL, /^postgres:\/\/owner:.+@postgres:5432\/increments$/);
  const superuser = new URL(provision.SUPERUSER_DATABASE_URL!);
  t.equal(superuser.username, 'postgres');
  t.equal(superuser.password, readFileSync(join(folder, 'postgres-password'), 'utf8'));
  t.match(provision.READER_DATABASE_PASSWORD, /^p[0-9a-f]{32}$/);
  t.equal(read('nats.env')['NATS_ROUTES']?.match(/nats:\/\/cluster:/g)?.length, 3);
  const passwords = Object.values(read('passwords.env'));
  t.equal(new Set(passwords).size, passwords.length);
  t.end();
});

await t.test('a second start keeps the passwords and repairs the files', (t) => {
  const folder = makeFolder(t);
  makeSecrets(folder, NATS_SERVERS, users);
  const first = readFileSync(join(folder, 'gateway.env'), 'utf8');
  rmSync(join(folder, 'gateway.env'));
  makeSecrets(folder, NATS_SERVERS, users);
  t.equal(readFileSync(join(folder, 'gateway.env'), 'utf8'), first);

  makeSecrets(folder, ['nats-1'], users);
  t.match(
    parseEnv(readFileSync(join(folder, 'gateway.env'), 'utf8'))['NATS_URL'],
    /^nats:\/\/gateway:[^@,]+@nats-1:4222$/,
    'one broker where there is one',
  );
  t.end();
});

function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-secrets-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
