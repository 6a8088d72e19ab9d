import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { findFreePort } from '../../mesh/embedded/ports.ts';
import { provision } from '../../nats/provision.ts';
import { startServers, type Servers } from '../support/servers.ts';

// What an operator gets wrong is one line that says what to do.

await t.test('a wrong NATS password', async (t) => {
  const servers = await startServers(t);
  const wrong = new URL(servers.urls.nats.gateway);
  wrong.password = 'wrong';
  for (const service of ['gateway', 'counter']) {
    const said = await runToItsEnd(service, servers, wrong.href.replace('gateway', service));
    t.match(said, new RegExp(`^${service}: can't connect to NATS at .* as ${service}: .*NATS_URL`));
    t.notMatch(said, /wrong/, 'without the password');
    t.equal(said.trim().split('\n').length, 1, 'in one line');
  }
});

await t.test('three replicas on one server', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  await t.rejects(provision({ url, replicas: 3, flushIntervalMs: 9_000 }), {
    name: 'ProvisionError',
    message: /can't keep 3 replicas of INCREMENTS .*: give it a cluster .*, or set REPLICAS=1/,
  });
});

/** What it says on standard error. */
async function runToItsEnd(service: string, servers: Servers, natsUrl: string): Promise<string> {
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [`${service}/main.ts`], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...inherited,
      NATS_URL: natsUrl,
      DATABASE_URL: servers.urls.counterDatabase,
      PORT: String(await findFreePort()),
      OTEL_EXPORTER_PROMETHEUS_PORT: String(await findFreePort()),
    },
  });
  return text(child.stderr);
}
