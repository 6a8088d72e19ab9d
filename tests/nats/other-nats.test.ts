import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import t, { type Test } from 'tap';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { CLEAR_SUBJECT } from '../../nats/channel.ts';
import type { NatsAccess } from '../../nats/access-settings.ts';
import { connectToNats, managerOf, watchConnection, type NatsRole } from '../../nats/connect.ts';
import { permissionsOf, type Permissions } from '../../nats/permissions.ts';
import { provision } from '../../nats/provision.ts';
import { createPublisher } from '../../nats/publisher.ts';
import { createPuller } from '../../nats/pull.ts';
import { watchStream } from '../../nats/stream-watch.ts';
import { INCREMENTS, INCREMENTS_DEAD } from '../../nats/streams.ts';
import { openDatabase } from '../../schema/database/database.ts';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { OWNER } from '../../schema/database/set-up-server.ts';
import { runCommand } from '../mesh/cli/run-command.ts';
import { makeCertificates } from '../support/certificates.ts';
import { makeKeys, untilTotal } from '../support/counters.ts';
import { makeFolder } from '../support/folders.ts';
import { inheritedEnvironment } from '../support/inherited-environment.ts';
import { makeAccount, writeSecrets } from '../support/nats-accounts.ts';
import { send } from '../support/load.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { launchService, startCounter, startGateway } from '../support/services.ts';
import { createDatabase } from '../support/shared-postgres.ts';
import type { Servers } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { startServer } from './bare-server.ts';

const MIB = 1024 * 1024;
const ROLES = ['gateway', 'counter', 'provisioner', 'inspector'] as const;
const PROVISION = { replicas: 1, flushIntervalMs: 300, streamBytesMax: 64 * MIB };

await t.test('an account of other people’s servers, with a user for each role', async (t) => {
  const folder = makeFolder(t);
  const account = makeAccount(256 * MIB);
  const url = await startServer(t, folder, account.config);
  const creds = (name: string, permissions: Permissions, expiresAt?: number) => {
    const content = account.makeUser(permissions, expiresAt === undefined ? {} : { expiresAt });
    writeSecrets(folder, { [name]: content });
    return { secretFile: { kind: 'creds', path: join(folder, name) } } as const;
  };
  for (const role of ROLES) creds(`${role}.creds`, permissionsOf(role));
  const file = join(folder, '{role}.creds');
  const database = await makeDatabase(t);
  const ours: NatsAccess = { secretFile: { kind: 'creds', path: file } };

  await t.test('what a role must not do is refused at once, and named', async (t) => {
    const may = permissionsOf('provisioner');
    const startedAt = performance.now();
    const cannotMake = creds('weak.creds', {
      ...may,
      publish: may.publish.filter((one) => one !== '$JS.API.STREAM.*.INCREMENTS'),
    });
    await t.rejects(provision({ url, ...cannotMake, ...PROVISION }), {
      message:
        /does not let the provisioner publish to \$JS\.API\.STREAM\.INFO\.INCREMENTS: allow .* \$JS\.API\.STREAM\.\*\.INCREMENTS \(docs\/other-nats\.md\)/,
    });
    const isDeaf = creds('deaf.creds', { ...may, subscribe: ['_MINE.>'] });
    await t.rejects(provision({ url, ...isDeaf, ...PROVISION }), {
      message: /subscribe to _INBOX\.provisioner\..*NATS_INBOX_PREFIX/,
    });
    await t.rejects(
      provision({ url, ...ours, ...PROVISION, streamBytesMax: 1024 * MIB }),
      /no room for the stream INCREMENTS of 1073741824 bytes.*STREAM_BYTES_MAX/,
    );
    t.ok(performance.now() - startedAt < 3_000, 'without waiting');
    await t.resolves(
      connectToNats({ url, role: 'gateway', ...isDeaf, inboxPrefix: '_MINE' }).then((one) =>
        one.close(),
      ),
      'with the prefix that it may subscribe to',
    );
    const expired = creds('expired.creds', may, Date.now() - 60_000);
    const refused = connectToNats({ url, role: 'gateway', ...expired });
    await t.rejects(refused, /by .*expired\.creds: .*expired at 20/);
  });

  await t.test('a mesh counts there, and lacks no permission', async (t) => {
    await provision({ url, ...ours, ...PROVISION });
    const mesh = await startMesh(t, { url, database, environment: { NATS_CREDS_FILE: file } });
    await count(mesh, 10);
    const status = await runCommand(
      `status --json --nats-url ${url} --database-url ${database.ownerUrl}`,
      { NATS_CREDS_FILE: file },
    );
    t.strictSame(status.answer().findings, [], 'nor does the inspector');
    t.strictSame(
      status.answer().services.map(({ name }: { name: string }) => name),
      ['gateway', 'counter'],
    );

    const [key = ''] = makeKeys(1);
    const clear = () => send(`${mesh.gateway.url}/counters/${key}`, { method: 'DELETE' });
    t.match(await clear(), { status: 404 }, 'the counter service answers the gateway');
    const stolen = await connectToNats({ url, role: 'gateway', ...ours });
    t.teardown(() => stolen.close());
    const request = { key, by: 'x', request_id: 'x', deadline_ms: Date.now() + 60_000 };
    stolen.publish(CLEAR_SUBJECT, JSON.stringify(request), { reply: 'dead.increments.http' });
    await stolen.flush();
    // It answers in the order of the requests.
    t.match(await clear(), { status: 404 });
    const provisioner = await connectToNats({ url, role: 'provisioner', ...ours });
    t.teardown(() => provisioner.close());
    const streams = (await managerOf(provisioner, { timeout: 5_000 })).streams;
    const { state } = await streams.info(INCREMENTS_DEAD);
    t.equal(state.messages, 0, 'it answers nowhere but to gateways');
    t.strictSame(mesh.denials(), []);
  });

  await t.test('two meshes share the account, by the names of their streams', async (t) => {
    const rename = (one: string) =>
      one
        .replaceAll('INCREMENTS', 'STAGING')
        .replace('increments.', 'staging.')
        .replace(/^mesh\./, 'mesh.staging.');
    for (const role of ROLES) {
      const { publish, subscribe } = permissionsOf(role);
      const renamed = { publish: publish.map(rename), subscribe: subscribe.map(rename) };
      creds(`staging-${role}.creds`, renamed);
    }
    const staging = await makeDatabase(t);
    const environment = {
      NATS_CREDS_FILE: join(folder, 'staging-{role}.creds'),
      STREAM_NAME: 'STAGING',
    };
    const startedAt = performance.now();
    const refused = await runProvision({
      ...environment,
      NATS_CREDS_FILE: '',
      NATS_URL: url.replace('//', '//provisioner:wrong@'),
      DATABASE_URL: staging.ownerUrl,
    });
    t.match(refused, { code: 1, output: /can't provision NATS: .*check user and password/ });
    t.ok(performance.now() - startedAt < 60_000, 'which waiting would not change');
    const { code, output } = await runProvision({
      ...environment,
      NATS_URL: url,
      DATABASE_URL: staging.ownerUrl,
      STREAM_BYTES_MAX: String(64 * MIB),
    });
    t.equal(code, 0, output);
    const mesh = await startMesh(t, { url, database: staging, environment });
    await count(mesh, 10);
    t.strictSame(mesh.denials(), []);
    const inspector = await connectToNats({ url, role: 'inspector', ...ours });
    t.teardown(() => inspector.close());
    const { state } = await (
      await managerOf(inspector, { timeout: 5_000 })
    ).streams.info(INCREMENTS);
    t.equal(state.messages, 0, 'the stream of the first is as it was');
  });

  await t.test('a service names each subject that it may not use', async (t) => {
    const without = (role: NatsRole, subject: string) => {
      const { publish, subscribe } = permissionsOf(role);
      const keep = (one: string) => !one.startsWith(subject);
      return { publish: publish.filter(keep), subscribe: subscribe.filter(keep) };
    };
    creds('less-gateway.creds', without('gateway', 'mesh.rate-limit'));
    creds('less-counter.creds', without('counter', '$JS.API.CONSUMER.MSG'));
    const environment = {
      NATS_URL: url,
      NATS_CREDS_FILE: join(folder, 'less-{role}.creds'),
      FLUSH_INTERVAL_MS: '300',
    };
    const gateway = await launchService(t, 'gateway', {
      ...environment,
      DATABASE_URL: database.gatewayUrl,
      PORT: '0',
    });
    const counter = await launchService(t, 'counter', {
      ...environment,
      DATABASE_URL: database.counterUrl,
    });
    const said = () =>
      [gateway, counter].flatMap(({ log }) => log.map(({ msg }) => msg)).join('\n');
    const isSaid = (text: string) =>
      [
        /gateway subscribe to mesh\.rate-limit\..*allow its user to subscribe to mesh\.rate-limit\.>/,
        /counter publish to \$JS\.API\.CONSUMER\.MSG\.NEXT\.INCREMENTS\.counter/,
      ].every((line) => line.test(text));
    await until('both say it', said, isSaid);
  });
});

await t.test('users, nkeys, domains and little room', async (t) => {
  const folder = makeFolder(t);
  const user = nkeys.createUser();
  const url = await startServer(
    t,
    folder,
    `authorization { users: [
       { user: provisioner, password: secret, permissions: { publish: ">", subscribe: "_INBOX.>" } }
       { nkey: ${user.getPublicKey()}, permissions: { publish: ">", subscribe: "_INBOX.counter.>" } }
     ] }`,
    'domain: hub, max_file_store: 80MB',
  );
  const seed = Buffer.from(user.getSeed()).toString();
  writeSecrets(folder, { 'counter.nk': `${seed}\n` });
  const asUser = url.replace('//', '//provisioner:secret@');
  const nkey = { kind: 'nkey', path: join(folder, '{role}.nk') } as const;

  const small = { ...PROVISION, domain: 'hub', streamBytesMax: 32 * MIB };
  await t.rejects(
    provision({ url: asUser, ...small, streamBytesMax: 256 * MIB }),
    /no room for the stream INCREMENTS.*max_file_store/,
  );
  await provision({ url: asUser, ...small });
  await t.rejects(
    provision({ url: asUser, ...small, domain: 'elsewhere' }),
    /\$JS\.elsewhere\.API.*NATS_JETSTREAM_DOMAIN/,
  );
  const counter = await connectToNats({ url, role: 'counter', secretFile: nkey, domain: 'hub' });
  t.teardown(() => counter.close());
  const manager = await managerOf(counter, { timeout: 2_000 });
  t.equal((await manager.streams.info(INCREMENTS)).config.max_bytes, 32 * MIB);

  const absent = { ...nkey, path: join(folder, 'absent') };
  const inVain = connectToNats({ url, role: 'counter', secretFile: absent });
  await t.rejects(inVain, /can't connect to NATS: .*absent can't be read: ENOENT/);
  const inUrl = connectToNats({ url: url.replace('//', `//${seed}@`), role: 'counter' });
  const failure = await inUrl.catch((error: Error) => error);
  t.match(failure, { message: /NATS_NKEY_SEED_FILE/ });
  t.notMatch(failure, { message: new RegExp(seed, 'i') });
});

await t.test('a mesh at a leaf node counts in the domain of the hub', async (t) => {
  const leafPort = await findFreePort();
  const start = (name: string, leafNodes: string) =>
    startServer(
      t,
      makeFolder(t),
      `server_name: ${name}, leafnodes { ${leafNodes} }`,
      `domain: ${name}`,
    );
  await start('hub', `listen: "127.0.0.1:${leafPort}"`);
  const url = await start('leaf', `remotes: [ { url: "nats://127.0.0.1:${leafPort}" } ]`);
  const isThere = () =>
    provision({ url, domain: 'hub', ...PROVISION }).then(
      () => true,
      (error: Error) => !/NATS_JETSTREAM_DOMAIN/.test(error.message),
    );
  await until('the leaf is connected', isThere);

  const gateway = await connectToNats({ url, role: 'gateway', domain: 'hub' });
  const counter = await connectToNats({ url, role: 'counter', domain: 'hub' });
  t.teardown(() => Promise.all([gateway.close(), counter.close()]));
  const watch = watchConnection(gateway);
  const stream = watchStream(gateway, watch);
  await until('the gateway sees the stream', () => stream.isConnected);
  const message = { subject: 'increments.http', id: 'one', body: '{}' };
  await createPublisher(gateway, watch).publish(message, performance.now() + 10_000);
  const delivered: number[] = [];
  const limits = { messagesMax: 1, bytesMax: MIB, expiresMs: 5_000 };
  const puller = createPuller(counter, watchConnection(counter));
  await puller.pull(limits, ({ sequence }) => void delivered.push(sequence));
  t.strictSame(delivered, [1]);
});

await t.test('a token, in the URL or in a file, and a list of servers', async (t) => {
  const folder = makeFolder(t);
  const url = await startServer(t, folder, 'authorization { token: s3cret }');
  writeSecrets(folder, { token: 's3cret\n', wrong: 'other\n' });
  const isMet = async (options: { url: string } & NatsAccess) =>
    (await connectToNats({ role: 'gateway', ...options })).close();
  await isMet({ url: url.replace('//', '//s3cret@') });
  await isMet({ url: `nats://s3cret@127.0.0.1:1,${url}` });
  const ours: NatsAccess = { secretFile: { kind: 'token', path: join(folder, 'token') } };
  await isMet({ url, ...ours });
  await provision({ url, ...ours, ...PROVISION });

  await t.test('provisioning again updates no stream, which others may write to', async (t) => {
    const observer = await connectToNats({ role: 'gateway', url, ...ours });
    t.teardown(() => observer.close());
    const seen: string[] = [];
    observer.subscribe('$JS.API.STREAM.>', {
      callback: (_, { subject }) => void seen.push(subject),
    });
    await observer.flush();
    await provision({ url, ...ours, ...PROVISION });
    await observer.flush();
    t.ok(seen.includes(`$JS.API.STREAM.INFO.${INCREMENTS}`));
    t.notOk(seen.find((one) => one.startsWith('$JS.API.STREAM.UPDATE')));
  });

  for (const options of [
    { url: url.replace('//', '//0ther@') },
    { url, secretFile: { kind: 'token', path: join(folder, 'wrong') } as const },
  ]) {
    const failure = await isMet(options).catch((error: Error) => error);
    t.match(failure, { name: 'CannotConnect', message: /check the token/ });
    t.notMatch(failure, { message: /0ther|other\b/ });
  }
});

await t.test('a certificate stands for a user where brokers map it', async (t) => {
  const folder = makeFolder(t);
  const tls = makeCertificates(join(folder, 'tls'));
  const url = await startServer(
    t,
    folder,
    `tls { cert_file: "${tls.certFile}", key_file: "${tls.keyFile}", ca_file: "${tls.caFile}", verify_and_map: true }
     authorization { users: [ { user: "CN=mesh", permissions: { publish: ">", subscribe: "_INBOX.>" } } ] }`,
  );
  const gateway = await connectToNats({ url, role: 'gateway', tls });
  t.teardown(() => gateway.close());
  t.ok(gateway.info?.tls_required);
  await t.rejects(connectToNats({ url, role: 'gateway', tls: { caFile: tls.caFile } }));
});

async function makeDatabase(t: Test) {
  const { url, drop } = await createDatabase();
  const database = openDatabase(url, {
    name: 'test',
    connectionsMax: 1,
    queryTimeoutMs: 30_000,
    onBrokenConnection: () => undefined,
  });
  t.teardown(async () => {
    await database.destroy();
    await drop();
  });
  return {
    database,
    ownerUrl: withDatabaseUser(url, OWNER, PASSWORDS.owner),
    gatewayUrl: withDatabaseUser(url, 'mesh_gateway', PASSWORDS.gateway),
    counterUrl: withDatabaseUser(url, 'mesh_counter', PASSWORDS.counter),
  };
}

/** A gateway and a counter service, with the same environment. */
async function startMesh(
  t: Test,
  {
    url,
    database,
    environment,
  }: {
    url: string;
    database: Awaited<ReturnType<typeof makeDatabase>>;
    environment: NodeJS.ProcessEnv;
  },
) {
  const urls = {
    nats: { gateway: url, counter: url },
    gatewayDatabase: database.gatewayUrl,
    counterDatabase: database.counterUrl,
  };
  const servers = { urls } as unknown as Servers;
  const [gateway, counter] = await Promise.all([
    startGateway(t, servers, environment),
    startCounter(t, servers, { FLUSH_INTERVAL_MS: '300', ...environment }),
  ]);
  return {
    gateway,
    database: database.database,
    denials: () =>
      [...gateway.log, ...counter.log]
        .map(({ msg }) => msg)
        .filter((msg) => /does not let/.test(msg)),
  };
}

/** Sends increments of one each, one request after the other, and awaits that they are counted. */
async function count(
  { gateway, database }: Awaited<ReturnType<typeof startMesh>>,
  increments: number,
): Promise<void> {
  for (const key of makeKeys(increments)) {
    const response = await fetch(`${gateway.url}/increment`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ key, value: 1 }),
    });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  }
  await untilTotal(database, increments);
  const ready = await fetch(`${gateway.url}/readyz`);
  if (!ready.ok) throw new Error(await ready.text());
}

async function runProvision(environment: NodeJS.ProcessEnv) {
  const passwords = {
    GATEWAY_DATABASE_PASSWORD: PASSWORDS.gateway,
    COUNTER_DATABASE_PASSWORD: PASSWORDS.counter,
  };
  const child = spawn(process.execPath, ['mesh/deploy/provision.ts'], {
    env: {
      ...inheritedEnvironment(),
      ...passwords,
      REPLICAS: '1',
      FLUSH_INTERVAL_MS: '300',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => (output += String(chunk)));
  }
  const [code] = await once(child, 'close');
  return { code: code as number | null, output };
}
