import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
import { runCommand } from '../cli/run-command.ts';
import { increment, makeDataDir, startMesh, total } from '../mesh-process.ts';
import { until } from '../../support/until.ts';

const SMALL = { GATEWAYS: '1', COUNTERS: '1', FLUSH_INTERVAL_MS: '500' };

await t.test('npm start and its commands use a broker that wants certificates', async (t) => {
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
  const mesh = await startMesh({
    dataDir,
    environment: { ...SMALL, NATS_URL: natsUrl, ...certificates },
  });
  t.teardown(async () => {
    mesh.child.kill('SIGTERM');
    await mesh.exited;
  });

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
