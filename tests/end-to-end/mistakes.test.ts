import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { jetstreamManager } from '@nats-io/jetstream';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { INCREMENTS } from '../../nats/streams.ts';
import { migrate } from '../../schema/database/migrate.ts';
import { send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import {
  launchService,
  startGateway,
  type LaunchedService,
  type ServiceName,
} from '../support/services.ts';
import { until } from '../support/until.ts';

// What an operator gets wrong is one line that says what to do. What settings are refused with is in
// wrong-settings.test.ts, and errors of PostgreSQL in describe-database-error.test.ts.

const NOWHERE = {
  NATS_URL: 'nats://127.0.0.1:1',
  DATABASE_URL: 'postgres://127.0.0.1:1/increments',
};

void t.test('a service that can not start says why in a line', async (t) => {
  const servers = await startServers(t);
  const taken = await takePort(t);
  const wrongPassword = new URL(servers.urls.nats.counter);
  wrongPassword.password = 'wrong';
  const mistakes: [
    mistake: string,
    service: ServiceName,
    environment: NodeJS.ProcessEnv,
    says: RegExp,
  ][] = [
    [
      'a wrong NATS password',
      'counter',
      { NATS_URL: wrongPassword.href, DATABASE_URL: servers.urls.counterDatabase },
      /^counter: can't connect to NATS at .* as counter: .*NATS_URL/,
    ],
    [
      'a port for metrics that is taken',
      'counter',
      { ...NOWHERE, OTEL_EXPORTER_PROMETHEUS_PORT: String(taken) },
      new RegExp(`127\\.0\\.0\\.1:${taken} .*EADDRINUSE.*OTEL_EXPORTER_PROMETHEUS_PORT`),
    ],
    [
      'a port for clients that is taken',
      'gateway',
      {
        NATS_URL: servers.urls.nats.gateway,
        DATABASE_URL: servers.urls.gatewayDatabase,
        PORT: String(taken),
      },
      new RegExp(`127\\.0\\.0\\.1:${taken} \\(listen EADDRINUSE`),
    ],
    [
      'a certificate that is none',
      'gateway',
      { ...NOWHERE, TLS_CERT_FILE: 'package.json', TLS_KEY_FILE: 'package.json' },
      /TLS_CERT_FILE "package\.json" .*PEM/,
    ],
  ];
  await Promise.all(
    mistakes.map(async ([mistake, service, environment, says]) => {
      const launched = await launchService(t, service, environment);
      t.equal(await launched.exited, 1, mistake);
      t.match(launched.errors(), says, mistake);
      t.notMatch(launched.errors(), /^ +at /m, `${mistake}: without a stack`);
      t.notMatch(launched.errors(), /wrong/, `${mistake}: without the password`);
      const lines = launched.errors().trim().split('\n');
      t.ok(lines.length <= 2, `${mistake}: in one line, or two where it is a setting`);
    }),
  );
});

void t.test('what is not made yet is waited for, and said once', async (t) => {
  const servers = await startServers(t);
  const empty = `empty-${randomUUID()}`;
  await sql
    .raw(`create database "${empty}" owner owner strategy file_copy`)
    .execute(servers.database);
  const inEmpty = (text: string) => {
    const url = new URL(text);
    url.pathname = empty;
    return url.href;
  };
  const url = servers.urls.nats.provisioner;
  const provisioner = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => provisioner.close());
  await (await jetstreamManager(provisioner, { checkAPI: false })).streams.delete(INCREMENTS);

  const counter = await launchService(t, 'counter', {
    NATS_URL: servers.urls.nats.counter,
    DATABASE_URL: inEmpty(servers.urls.counterDatabase),
  });
  const gateway = await startGateway(t, servers, {
    DATABASE_URL: inEmpty(servers.urls.gatewayDatabase),
  });
  const read = () => send(`${gateway.url}/counters/${randomUUID()}`);
  for (let attempt = 0; attempt < 3; attempt++) t.equal((await read()).status, 503);

  await t.test('the stream', async (t) => {
    const remedy = /the stream INCREMENTS.*`npm start` or `npm run provision` makes (it|them)/;
    for (const service of [counter, gateway]) t.match(await untilWarned(service, 1), [remedy]);
    await provision({ url, replicas: 1, flushIntervalMs: 9_000 });
    await untilSaid(gateway, 'the stream INCREMENTS is there');
  });

  await t.test('the tables', async (t) => {
    const remedy = /relation "\w+" does not exist; .*: run the migration \(`npm start` or `npm run/;
    for (const service of [counter, gateway]) {
      // The consumer may be missed between, which is made after the stream.
      const isSaid = (lines: string[]) => lines.some((line) => remedy.test(line));
      const warnings = await until('the remedy', () => warningsOf(service), isSaid);
      t.equal(new Set(warnings).size, warnings.length, 'each once, while it was tried again');
    }
    const ready = await send(`${gateway.url}/readyz`);
    t.match(JSON.parse(ready.body), { status: 'ready', database: 'away' });

    const ownerUrl = inEmpty(servers.urls.ownerDatabase);
    await migrate({
      ownerUrl,
      passwords: {},
      existingRoles: { gateway: 'mesh_gateway', counter: 'mesh_counter' },
    });
    await untilSaid(counter, 'the counter is ready');
    t.equal((await read()).status, 404, 'once they are made, both go on by themselves');
  });
});

type Speaker = Pick<LaunchedService, 'log'>;

/** What a service has warned of, which is so much at least. */
function untilWarned(service: Speaker, count: number): Promise<string[]> {
  return until(
    `warning ${count}`,
    () => warningsOf(service),
    ({ length }) => length >= count,
  );
}

function warningsOf({ log }: Speaker): string[] {
  return log.filter(({ level }) => level >= 40).map(({ msg }) => msg);
}

async function untilSaid({ log }: Speaker, line: string): Promise<void> {
  await until(
    line,
    () => log.map(({ msg }) => msg),
    (lines) => lines.includes(line),
  );
}

/** A port of 127.0.0.1 on which another program listens. */
async function takePort(t: Test): Promise<number> {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  return (taken.address() as AddressInfo).port;
}
