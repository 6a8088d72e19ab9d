import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { jetstreamManager } from '@nats-io/jetstream';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { connectToNats } from '../../../nats/connect.ts';
import { provision } from '../../../nats/provision.ts';
import { refuseOldServer } from '../../../nats/server-version.ts';
import { INCREMENTS } from '../../../nats/streams.ts';
import { migrate } from '../../../schema/database/migrate.ts';
import { PASSWORDS } from '../../support/passwords.ts';
import { startServers } from '../../support/servers.ts';
import {
  launchService,
  startGateway,
  type LaunchedService,
  type Service,
} from '../../support/services.ts';
import { until } from '../../support/until.ts';

// What an operator gets wrong is one line that says what to do.

await t.test('a wrong NATS password', async (t) => {
  const servers = await startServers(t);
  for (const service of ['gateway', 'counter'] as const) {
    const wrong = new URL(servers.urls.nats[service]);
    wrong.password = 'wrong';
    const launched = await launchService(t, service, {
      NATS_URL: wrong.href,
      DATABASE_URL: servers.urls.counterDatabase,
      PORT: String(await findFreePort()),
    });
    await launched.exited;
    const said = launched.errors();
    t.match(said, new RegExp(`^${service}: can't connect to NATS at .* as ${service}: .*NATS_URL`));
    t.notMatch(said, /wrong/, 'without the password');
    t.equal(said.trim().split('\n').length, 1, 'in one line');
  }
});

await t.test('a port for metrics that is taken', async (t) => {
  const port = await takePort(t);
  for (const service of ['gateway', 'counter'] as const) {
    const launched = await launchService(t, service, {
      NATS_URL: 'nats://127.0.0.1:1',
      DATABASE_URL: 'postgres://127.0.0.1:1/increments',
      OTEL_EXPORTER_PROMETHEUS_PORT: String(port),
    });
    t.equal(await launched.exited, 1);
    t.match(
      launched.errors(),
      new RegExp(`127\\.0\\.0\\.1:${port} .*EADDRINUSE.*OTEL_EXPORTER_PROMETHEUS_PORT`),
    );
    t.notMatch(launched.errors(), /^ +at /m, 'without a stack');
  }
});

await t.test('a port for clients that is taken', async (t) => {
  const servers = await startServers(t);
  const port = await takePort(t);
  const launched = await launchService(t, 'gateway', {
    NATS_URL: servers.urls.nats.gateway,
    DATABASE_URL: servers.urls.gatewayDatabase,
    PORT: String(port),
  });
  t.equal(await launched.exited, 1);
  t.match(launched.errors(), `127.0.0.1:${port} (listen EADDRINUSE`);
  t.notMatch(launched.errors(), /^ +at /m, 'without a stack');
});

await t.test('a certificate that is none', async (t) => {
  const launched = await launchService(t, 'gateway', {
    NATS_URL: 'nats://127.0.0.1:1',
    DATABASE_URL: 'postgres://127.0.0.1:1/increments',
    TLS_CERT_FILE: 'package.json',
    TLS_KEY_FILE: 'package.json',
  });
  t.equal(await launched.exited, 1);
  t.match(launched.errors(), /TLS_CERT_FILE "package\.json" .*PEM/);
  t.notMatch(launched.errors(), /^ +at /m, 'without a stack');
});

await t.test('three replicas on one server', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  await t.rejects(provision({ url, replicas: 3, flushIntervalMs: 9_000 }), {
    name: 'ProvisionError',
    message: /can't keep 3 replicas of INCREMENTS .*: give it a cluster .*, or set REPLICAS=1/,
  });
});

await t.test('a database that a service may not or can not use yet', async (t) => {
  const servers = await startServers(t);
  const empty = `empty-${randomUUID()}`;
  await sql.raw(`create database "${empty}" strategy file_copy`).execute(servers.database);
  const change = (text: string, change: (url: URL) => void) => {
    const url = new URL(text);
    change(url);
    return url.href;
  };
  const mistakes = [
    {
      mistake: 'a wrong password',
      change: (url: URL) => void (url.password = 'wrong'),
      says: /password authentication failed for user "mesh_\w+"; check user and password in DATABASE_URL/,
    },
    {
      mistake: 'no such database',
      change: (url: URL) => void (url.pathname = 'elsewhere'),
      says: /database "elsewhere" does not exist; make the database, or correct its name in DATABASE_URL/,
    },
    {
      mistake: 'nobody there',
      change: (url: URL) => void (url.port = '1'),
      says: /ECONNREFUSED.*; check host and port in DATABASE_URL/,
    },
    {
      mistake: 'no tables',
      change: (url: URL) => void (url.pathname = empty),
      says: /relation "\w+" does not exist; .*: run the migration \(`npm start` or `npm run provision`/,
    },
  ];
  let counter: LaunchedService | undefined;
  let gateway: Service | undefined;
  for (const { mistake, says, change: mistaken } of mistakes) {
    counter = await launchService(t, 'counter', {
      NATS_URL: servers.urls.nats.counter,
      DATABASE_URL: change(servers.urls.counterDatabase, mistaken),
    });
    t.match(await firstWarning(counter), says, `${mistake}, says a counter`);

    gateway = await startGateway(t, servers, {
      DATABASE_URL: change(servers.urls.gatewayDatabase, mistaken),
    });
    for (let attempt = 0; attempt < 3; attempt++) {
      const { status } = await fetch(`${gateway.url}/counters/${randomUUID()}`);
      t.equal(status, 503);
    }
    t.match(await firstWarning(gateway), says, `${mistake}, says a gateway`);
    t.equal(warnings(gateway).length, 1, 'once');
    const ready = await fetch(`${gateway.url}/readyz`);
    t.match(await ready.json(), { status: 'ready', database: 'away' });
  }

  const ownerUrl = change(servers.urls.ownerDatabase, (url) => void (url.pathname = empty));
  const { gateway: gatewayPassword, counter: counterPassword } = PASSWORDS;
  await migrate({ ownerUrl, gatewayPassword, counterPassword });
  await untilSaid(counter!, 'the counter is ready');
  const { status } = await fetch(`${gateway!.url}/counters/${randomUUID()}`);
  t.equal(status, 404, 'once the tables are made, both go on by themselves');
});

await t.test('a stream that was never made', async (t) => {
  const servers = await startServers(t);
  const url = servers.urls.nats.provisioner;
  const provisioner = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => provisioner.close());
  await (await jetstreamManager(provisioner, { checkAPI: false })).streams.delete(INCREMENTS);

  const counter = await launchService(t, 'counter', {
    NATS_URL: servers.urls.nats.counter,
    DATABASE_URL: servers.urls.counterDatabase,
  });
  const gateway = await startGateway(t, servers);
  const remedy = /the stream INCREMENTS.*`npm start` or `npm run provision` makes (it|them)/;
  t.match(await firstWarning(counter), remedy);
  t.match(await firstWarning(gateway), remedy);

  await provision({ url, replicas: 1, flushIntervalMs: 9_000 });
  await untilSaid(counter, 'the counter is ready');
  await untilSaid(gateway, 'the stream INCREMENTS is there');
  t.equal(warnings(counter).length, 1, 'said once while it was tried again');
});

await t.test('a nats-server that is too old', (t) => {
  for (const version of ['1.4.1', '2.9.10', '2.10.29', '2.10.0-RC.1']) {
    const line = `nats-server ${version} is too old: upgrade it to 2.11 or later`;
    t.equal(refuseOldServer(version), line);
  }
  for (const version of ['2.11.0', '2.11.0-RC.1', '2.14.5', '2.15.1', '3.0.0', '10.0.0']) {
    t.equal(refuseOldServer(version), undefined, version);
  }
  t.equal(refuseOldServer('dev'), undefined, 'one that its builder knows better');
  t.end();
});

type Speaker = Pick<LaunchedService, 'log'>;

async function firstWarning(service: Speaker): Promise<string> {
  const seen = await until(
    'it warns',
    () => warnings(service),
    (lines) => lines.length > 0,
  );
  return seen[0]!;
}

function warnings({ log }: Speaker): string[] {
  return log.filter(({ level }) => level === 40).map(({ msg }) => msg);
}

async function untilSaid({ log }: Speaker, line: string): Promise<void> {
  await until(
    line,
    () => log.map(({ msg }) => msg),
    (lines) => lines.includes(line),
  );
}

/** A port of 127.0.0.1 on which somebody else listens. */
async function takePort(t: Test): Promise<number> {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  return (taken.address() as AddressInfo).port;
}
