import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import {
  spawnDetached,
  stopProcess,
  type DetachedProcess,
} from '../../../mesh/servers/detached-process.ts';
import { natsStopSteps } from '../../../mesh/servers/nats.ts';
import { findNatsServer } from '../../../mesh/servers/find-nats-server.ts';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { makeCertificates, type Certificates } from '../../support/certificates.ts';
import { parseDatabaseUrl } from '../../../schema/database/database-url.ts';
import { OWNER } from '../../../schema/database/set-up-server.ts';
import { PASSWORDS } from '../../support/passwords.ts';
import { startServers } from '../../support/servers.ts';
import { runCommand } from '../cli/run-command.ts';
import { increment, makeDataDir, startMesh, total } from '../mesh-process.ts';
import { until } from '../../support/until.ts';

const SMALL = { GATEWAYS: '1', COUNTERS: '1', FLUSH_INTERVAL_MS: '500' };

await t.test('npm start and its commands use servers of another, as URLs say it', async (t) => {
  const dataDir = makeDataDir(t);
  const folder = join(dirname(dataDir), 'tls');
  const tls = makeCertificates(folder);
  const port = await findFreePort();
  const broker = await startBroker(folder, port, tls);
  t.teardown(() => stopProcess(broker, natsStopSteps));
  const certificates = {
    NATS_CA_FILE: tls.caFile,
    NATS_CERT_FILE: tls.certFile,
    NATS_KEY_FILE: tls.keyFile,
  };
  const natsUrl = `tls://127.0.0.1:${port}`;
  // The broker of these servers is not used.
  const servers = await startServers(t, { ownPostgres: true });
  const { host, port: databasePort } = parseDatabaseUrl(servers.urls.ownerDatabase).servers[0]!;
  const databaseUrl = `postgres:///increments?host=${host}&port=${databasePort}&user=${OWNER}&password=${PASSWORDS.owner}`;
  const mesh = await startMesh({
    dataDir,
    environment: { ...SMALL, NATS_URL: natsUrl, DATABASE_URL: databaseUrl, ...certificates },
  });
  t.teardown(async () => {
    mesh.child.kill('SIGTERM');
    await mesh.exited;
  });

  t.notMatch(mesh.output(), /password=|owner/);
  const { rows } = await sql<{ usename: string }>`
    select distinct usename::text from pg_stat_activity
    where application_name like 'increment-mesh %' and application_name not like '%migrate%'`.execute(
    servers.database,
  );
  const users = rows.map(({ usename }) => usename);
  t.ok(users.includes('mesh_counter'));
  t.notOk(users.includes(OWNER), 'no service is the owner');

  const key = randomUUID();
  t.equal(await increment(mesh, key, 7), 200);
  await until('it is counted', async () => (await total(mesh, key)) === '7');

  const onMesh = { DATA_DIR: dataDir, XDG_CONFIG_HOME: folder };
  t.equal((await runCommand('replicas', onMesh)).code, 0, 'a command that finds the mesh');
  t.equal((await runCommand('nats-context', onMesh)).code, 0);
  const context = join(folder, 'nats/context/increment-mesh.json');
  t.match(JSON.parse(readFileSync(context, 'utf8')), { ca: tls.caFile, key: tls.keyFile });

  const byUrl = { NATS_URL: natsUrl, DATABASE_URL: mesh.describe().postgres.url };
  t.equal((await runCommand('replicas', { ...byUrl, ...certificates })).code, 0, 'and by its URLs');
  const without = await runCommand('replicas', byUrl);
  t.equal(without.code, 3, 'without certificates there is no answer');
  t.match(without.error, /check NATS_CA_FILE/, 'but what to do');
});

async function startBroker(
  folder: string,
  port: number,
  { caFile, certFile, keyFile }: Certificates,
): Promise<DetachedProcess> {
  const config = join(folder, 'nats.conf');
  writeFileSync(
    config,
    `listen: "127.0.0.1:${port}"
     jetstream { store_dir: "${folder}/store", sync_interval: always }
     tls { ca_file: "${caFile}", cert_file: "${certFile}", key_file: "${keyFile}", verify: true }`,
  );
  return spawnDetached(await findNatsServer(), ['-c', config], { stdio: 'ignore' });
}
