import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeSecret } from '../../../mesh/cli/keys.ts';
import { freeze } from '../../support/freeze.ts';
import { PASSWORDS } from '../../support/passwords.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { until } from '../../support/until.ts';
import { commandsOn, runCommand } from './run-command.ts';

/** What nothing in a report may have. */
const SECRETS = {
  api: makeSecret().secret,
  token: 't0ken-of-traces',
  url: 'p%40ss%2Fw%C3%B6rd',
  plain: 'p@ss/w\u00f6rd',
  header: 'czNjcjN0LWhlYWRlcg==',
  seed: `SUAM${'A2B3'.repeat(13)}XY`,
};

void t.test('doctor makes one report', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 200 });
  const [gateway, counter] = await Promise.all([
    startGateway(t, servers),
    startCounter(t, servers, { FLUSH_INTERVAL_MS: '200' }),
  ]);
  const services = { gateways: [gateway], counters: [counter] };
  const roles = {
    GATEWAY_DATABASE_URL: servers.urls.gatewayDatabase,
    COUNTER_DATABASE_URL: servers.urls.counterDatabase,
  };
  const doctor = (line = '', environment: NodeJS.ProcessEnv = {}) =>
    commandsOn(servers, services, { ...roles, ...environment })(`doctor ${line}`);

  await t.test('of a mesh that is well', async (t) => {
    // On a busy machine a part may miss its time limit.
    const { answer } = await until(
      'a report without a fault',
      () => doctor('--json', { COUNTERS: '3', GATEWAYS: '2' }),
      ({ code }) => code === 0,
    );
    t.match(answer(), {
      system: { project: /^\d+\.\d+\.\d+$/, node: process.versions.node, cpus: Number },
      settings: { problems: [] },
      broker: {
        version: /^2\./,
        has_jet_stream: true,
        roles: [
          'inspector: connects, and may do what it needs',
          'provisioner: connects',
          'gateway: connects',
          'counter: connects',
        ],
        problems: [],
      },
      database: { version: /^18\./, users: [String, 'gateway', 'counter'], problems: [] },
      clocks: { broker: { ahead_ms: Number }, database: { ahead_ms: Number }, problems: [] },
      status: { findings: [] },
      logs: { ends: [] },
    });
    const { changed } = answer().settings;
    const names = changed.map(({ name }: { name: string }) => name);
    t.ok(names.includes('COUNTERS') && !names.includes('GATEWAYS'), 'defaults are left out');
    const said = readFileSync(join(servers.folder, 'nats.log'), 'utf8');
    t.notMatch(said, 'Violation', 'it asked for nothing that it may not have');
    const isWell = ({ output }: { output: string }) =>
      /nats-server +2\..*\nSTATUS\nAll is well\.\n/s.test(output);
    await until('the same as text', () => doctor(), isWell);
  });

  await t.test('that has no secret, wherever one is', async (t) => {
    const { api, token, url, plain, header, seed } = SECRETS;
    const folder = join(servers.folder, 'data', 'logs');
    mkdirSync(folder, { recursive: true });
    const line = (msg: string) =>
      `${JSON.stringify({ level: 40, time: new Date().toISOString(), service: 'gateway', msg })}\n`;
    writeFileSync(
      join(folder, 'gateway-1.log'),
      [
        line(`nats://gateway:${url}@h:1 refuses ${plain}, then ${api}`),
        line(`authorization: Bearer ${token}`),
        line(`Authorization: Basic ${header}, ${seed}`),
        `Error: can't connect to postgres://u:${plain}@h/d?password=${url}\n`,
        ...Array.from({ length: 50 }, (_, count) => line(`again, ${count} ms late`)),
      ].join(''),
    );
    const environment = {
      GATEWAY_NATS_URL: servers.urls.nats.gateway.replace(PASSWORDS.gateway, url),
      COUNTER_DATABASE_URL: `postgres://u:${url}@127.0.0.1:1/d?sslpassword=${url}`,
      GATEWAY_DATABASE_URL: `postgres://u@127.0.0.1:1/d?password=${url}`,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${token}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:${url}@127.0.0.1:4318`,
      // No setting takes such a value, and what refuses it shows it.
      WAITING_MAX: api,
    };
    for (const form of ['', '--json']) {
      const { output, error } = await until(
        'a report that says of the broker what is wrong',
        () => doctor(form, environment),
        ({ code, output }) => code === 1 && /the gateway: can't connect to NATS/.test(output),
      );
      for (const [name, secret] of Object.entries(SECRETS)) {
        t.notOk(output.includes(secret), `${name} ${form}`);
        t.notOk(error.includes(secret), `${name} ${form}`);
      }
      t.match(output, /again, 49 ms late/);
      t.notMatch(output, /again, 48 ms late/);
      t.match(output, /nats:\/\/gateway:\*\*\*@h:1 refuses/);
      t.match(output, /WAITING_MAX is/);
    }
  });

  await t.test('though the broker is frozen', async (t) => {
    await freeze(servers.nats);
    t.teardown(() => servers.nats.kill('SIGCONT'));
    const isOfTheRest = ({ output }: { output: string }) =>
      /BROKER\nnot known: .*\n\nDATABASE\nPostgreSQL +18\..*CLOCK/s.test(output);
    const { output } = await until(
      'a report of the rest',
      async () => {
        const startedAt = performance.now();
        const { code, output } = await doctor();
        const tookMs = performance.now() - startedAt;
        t.ok(tookMs < 10_000, `${Math.round(tookMs)} ms`);
        t.equal(code, 3);
        return { output };
      },
      isOfTheRest,
    );
    t.match(output, /LOGS: last warnings and errors\n.*gateway-1 +warn/s);
  });
});

void t.test('doctor makes a report though everything is away', async (t) => {
  const environment = {
    DATA_DIR: t.testdir(),
    NATS_URL: 'nats://inspector:s3cr3t@127.0.0.1:1',
    DATABASE_URL: 'postgres://owner:s3cr3t@127.0.0.1:1/increments',
  };
  const away = await runCommand('doctor', environment);
  t.equal(away.code, 3);
  t.match(away.output, /BROKER\nnot known: can't connect to NATS at .*refused/);
  t.match(away.output, /DATABASE\nnot known: 127\.0\.0\.1:1\/increments: .*ECONNREFUSED/);
  t.match(away.output, /NATS_URL +nats:\/\/inspector:\*\*\*@127\.0\.0\.1:1/);
  t.match(away.output, /LOGS: last warnings and errors\nnone/);
  t.notMatch(away.output, 's3cr3t');

  const none = await runCommand('doctor', { DATA_DIR: t.testdir() });
  t.equal(none.code, 3);
  t.match(none.output, /SYSTEM\nincrement-mesh +\d.*BROKER\nnot known: no mesh runs on/s);
});
