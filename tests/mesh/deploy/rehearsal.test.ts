import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { spawnDetached, stopProcess } from '../../../mesh/servers/detached-process.ts';
import type { DetachedProcess } from '../../../mesh/servers/detached-process.ts';
import { findNatsServer } from '../../../mesh/servers/find-nats-server.ts';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { startPostgres } from '../../../mesh/servers/postgres.ts';
import { makeSecrets, USERS } from '../../../mesh/deploy/secrets.ts';
import { post, send } from '../../support/load.ts';
import { until } from '../../support/until.ts';
import { environmentOf, readComposeFile, ROOT } from './compose-file.ts';

// What `docker compose up` starts, started here without an engine: the same command lines with the
// same variables and the secrets as they are made. Only addresses and paths are those of one
// machine, and PostgreSQL and the proxy's place are taken by what the other tests have.

const compose = readComposeFile({ FLUSH_INTERVAL_MS: '500' });
const NATS = ['nats-1', 'nats-2', 'nats-3'] as const;
const NATS_PORTS = [4222, 6222, 8222];
/** Host and port in containers → port here. */
type Addresses = Map<string, number>;

await t.test('the command lines of compose.yaml make a mesh that counts', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-rehearsal-'));
  chmodSync(folder, 0o755);
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const addresses = await findAddresses();
  const secrets = join(folder, 'secrets');
  makeSecretsHere(secrets, addresses);
  await startDatabase(t, { folder, secrets, addresses });

  const binary = await findNatsServer();
  const place = (text: string) =>
    text
      .replaceAll('/secrets', secrets)
      .replaceAll('/etc/nats', join(ROOT, 'nats'))
      .replace(/^nats-server$/, binary);
  const start = (name: string, overrides: Record<string, string> = {}) =>
    startService(t, name, { place, overrides });

  for (const name of NATS) {
    await start(name, {
      NATS_LISTEN: `127.0.0.1:${addresses.get(`${name}:4222`)}`,
      NATS_CLUSTER_LISTEN: `127.0.0.1:${addresses.get(`${name}:6222`)}`,
      NATS_MONITOR_LISTEN: `127.0.0.1:${addresses.get(`${name}:8222`)}`,
      NATS_STORE_DIR: join(folder, name),
    });
  }
  for (const name of NATS) await untilOk(healthUrl(name, addresses.get(`${name}:8222`)!));

  const prepared = await start('prepare');
  t.same(await prepared.exited, { code: 0, signal: null }, 'tables and streams are made');
  t.same(await (await start('prepare')).exited, { code: 0, signal: null }, 'and can be again');

  const gatewayPort = await findFreePort();
  const gateway = await start('gateway', {
    PORT: String(gatewayPort),
    OTEL_EXPORTER_PROMETHEUS_PORT: String(await findFreePort()),
  });
  const counterMetrics = await findFreePort();
  const counter = await start('counter', {
    OTEL_EXPORTER_PROMETHEUS_PORT: String(counterMetrics),
  });
  await untilOk(healthUrl('gateway', gatewayPort));
  const figure = /grep -q (\^\w+)/.exec(compose.services['counter']!.healthcheck!.test![1]!)?.[1];
  await until(
    "the counter's health check",
    () => send(`http://127.0.0.1:${counterMetrics}/metrics`).catch(() => undefined),
    (answer) => new RegExp(figure!, 'm').test(answer?.body ?? ''),
    30_000,
  );

  const url = `http://127.0.0.1:${gatewayPort}`;
  const key = randomUUID();
  t.equal((await post(url, { key, value: 5 })).status, 200);
  t.equal((await post(url, { key, value: 7 })).status, 200);
  const answer = await until(
    'the total',
    () => send(`${url}/counters/${key}`),
    ({ body }) => body.includes('"12"'),
  );
  t.equal(answer.status, 200);

  for (const [name, service] of Object.entries({ gateway, counter })) {
    service.kill('SIGTERM');
    t.same(await service.exited, { code: 0, signal: null }, `the ${name} stops when it is told to`);
  }
});

async function findAddresses(): Promise<Addresses> {
  const addresses: Addresses = new Map();
  const inContainers = [
    'postgres:5432',
    ...NATS.flatMap((name) => NATS_PORTS.map((port) => `${name}:${port}`)),
  ];
  for (const address of inContainers) {
    addresses.set(address, await findFreePort([...addresses.values()]));
  }
  return addresses;
}

function makeSecretsHere(folder: string, addresses: Addresses): void {
  mkdirSync(folder);
  const us = process.getuid?.() ?? 0;
  const users = Object.fromEntries(Object.keys(USERS).map((user) => [user, us]));
  makeSecrets(folder, [...NATS], users as typeof USERS);
  for (const file of ['gateway.env', 'counter.env', 'prepare.env', 'nats.env']) {
    let content = readFileSync(join(folder, file), 'utf8');
    for (const [address, port] of addresses) {
      content = content.replaceAll(`@${address}`, `@127.0.0.1:${port}`);
    }
    chmodSync(join(folder, file), 0o600);
    writeFileSync(join(folder, file), content);
  }
}

async function startDatabase(
  t: Test,
  { folder, secrets, addresses }: { folder: string; secrets: string; addresses: Addresses },
): Promise<void> {
  const postgres = await startPostgres({
    folder: join(folder, 'postgres'),
    port: addresses.get('postgres:5432')!,
    password: readFileSync(join(secrets, 'postgres-password'), 'utf8'),
    // As compose.yaml has them; they come last, so they win.
    settings: compose.services['postgres']!.command!.slice(1).map((one) => one.replace(/^-c/, '')),
  });
  t.teardown(() => postgres.stop());
}

/** Starts a command line of compose.yaml, without any variable that a container would not have. */
async function startService(
  t: Test,
  name: string,
  options: { place: (text: string) => string; overrides: Record<string, string> },
): Promise<DetachedProcess> {
  const service = compose.services[name]!;
  const [command = '', ...args] = [...(service.entrypoint ?? []), ...(service.command ?? [])].map(
    options.place,
  );
  const started = await spawnDetached(command === 'node' ? process.execPath : command, args, {
    cwd: ROOT,
    // Ours say on standard error why they can't start; a broker says everything there.
    stdio: ['ignore', 'ignore', command === 'node' ? 'inherit' : 'ignore'],
    env: { PATH: process.env['PATH'], ...environmentOf(service), ...options.overrides },
  });
  t.teardown(() => stopProcess(started, [{ signal: 'SIGKILL', waitMs: 5_000 }]));
  return started;
}

/** The address of a health check of compose.yaml, here. */
function healthUrl(name: string, port: number): string {
  const url = compose.services[name]!.healthcheck!.test!.at(-1)!;
  return url.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`);
}

async function untilOk(url: string): Promise<void> {
  const isOk = () =>
    send(url).then(
      ({ status }) => status === 200,
      () => false,
    );
  await until(url, isOk, Boolean, 30_000);
}
