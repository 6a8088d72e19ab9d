import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import {
  findProcesses,
  increment,
  launchMesh,
  makeDataDir,
  processesOf,
  startMesh,
  total,
} from '../mesh-process.ts';
import { runCommand } from '../cli/run-command.ts';
import { inheritedEnvironment } from '../../support/inherited-environment.ts';
import { livingProcess } from '../../support/living-process.ts';
import { until } from '../../support/until.ts';

const FAST = { FLUSH_INTERVAL_MS: '500' };
/** What a shell may have for psql and other databases. */
const OF_OTHERS = {
  PGHOST: '192.0.2.1',
  PGPORT: '1',
  PGUSER: 'somebody',
  PGDATABASE: 'other',
  PGPASSWORD: 'wrong',
  PGSERVICE: 'none',
  PGSSLMODE: 'require',
  PGSSLNEGOTIATION: 'direct',
  PGOPTIONS: '-c search_path=elsewhere',
  PGCLIENT_ENCODING: 'LATIN1',
  PGREPLICATION: 'database',
  // The mesh reads the metrics of its services all the same.
  OTEL_SDK_DISABLED: 'true',
};
const SMALL = { GATEWAYS: '1', COUNTERS: '1' };

// They wait as much as they compute.
t.jobs = 2;

void t.test('npm start runs a whole mesh', async (t) => {
  for (const port of [4222, 5432]) await occupy(t, port);
  const dataDir = makeDataDir(t);
  const environment = { ...FAST, ...OF_OTHERS, COUNTER: '3' };
  const mesh = await startMesh({ dataDir, environment, isByNpm: true });
  const key = randomUUID();

  await t.test('says which variable looks like one of its own', async () => {
    await mesh.says('COUNTER is set, which is no setting: COUNTERS is one');
  });

  await t.test('beside servers that occupy 4222 and 5432', async (t) => {
    t.notMatch(mesh.describe().nats[0]?.url, /:4222/);
    t.notMatch(mesh.describe().postgres.url, /:5432/);
  });

  await t.test('lists what runs in mesh.json, for its user only', async (t) => {
    const file = mesh.describe();
    const pid = Number;
    const metrics = /^http:\/\/127\.0\.0\.1:\d+\/metrics$/;
    const url = `http://127.0.0.1:${mesh.port}`;
    t.matchOnlyStrict(file, {
      stream: 'INCREMENTS',
      gateways: [
        { name: 'gateway-1', pid, url, metrics },
        { name: 'gateway-2', pid, url, metrics },
      ],
      proxy: null,
      counters: [
        { name: 'counter-1', pid, metrics },
        { name: 'counter-2', pid, metrics },
      ],
      nats: [{ pid, url: /^nats:\/\/inspector:\w+@127\.0\.0\.1:\d+$/ }],
      postgres: {
        pid,
        url: /^postgres:\/\/owner:\w+@127\.0\.0\.1:\d+\/increments$/,
        readerUrl: /^postgres:\/\/mesh_reader:\w+@127\.0\.0\.1:\d+\/increments$/,
        schema: 'increment_mesh',
      },
    });
    t.equal(statSync(join(dataDir, 'mesh.json')).mode & 0o777, 0o600);
    const addresses = [...file.gateways, ...file.counters].map((one) => one.metrics);
    t.equal(new Set(addresses).size, 4, 'every service has metrics of its own');
    for (const address of addresses) t.equal((await fetch(address)).status, 200);
  });

  await t.test('prints lines that work as they are', async (t) => {
    const lines = mesh.output().split('\n');
    const line = (start: string) => lines.find((one) => one.startsWith(start)) ?? '';
    const sh = (command: string) => execFileSync('sh', ['-c', command], { encoding: 'utf8' });
    t.match(sh(`${line('curl')} -s`), /"accepted":1/);
    const get = line(`curl http://127.0.0.1:${mesh.port}/counters/`);
    await until('the total', () => sh(`${get} -s`).includes('"value":"5"'));
    t.match(line('PGSERVICEFILE='), /psql service=mesh/);
    t.match(line('XDG_CONFIG_HOME='), /nats --context mesh stream info INCREMENTS$/);
    t.match(line('kill -9'), `kill -9 ${mesh.describe().counters[0]?.pid}`);
    for (const secret of readSecrets(dataDir)) t.notMatch(mesh.output(), secret);
  });

  await t.test('is well by its doctor, who shows no secret', async (t) => {
    const { output } = await until(
      'a report without a fault',
      () => runCommand('doctor', { DATA_DIR: dataDir }),
      ({ code }) => code === 0,
    );
    t.match(output, /looked at as +owner, gateway, counter\n/);
    for (const secret of readSecrets(dataDir)) t.notMatch(output, secret);
  });

  await t.test('and shows its logs, those of its servers too', async (t) => {
    const { code, output } = await runCommand('logs', { DATA_DIR: dataDir });
    t.equal(code, 0);
    for (const line of [
      'nats-server +info +Server is ready',
      'postgres +info .* ready to accept',
    ]) {
      t.match(output, new RegExp(line));
    }
    t.match(output, /(counter-1|gateway-2) +info +the (counter|gateway) is ready/);
  });

  await t.test('refuses a second start on the same data folder, naming the first', async (t) => {
    const second = await launchMesh({ dataDir });
    await second.exited;
    t.match(second.output(), /a mesh already runs on this data folder \(pid \d+/);
    t.equal(await increment(mesh, key, 1), 200, 'the first goes on');
  });

  await t.test(
    'runs a second mesh beside it, which SIGTERM to npm alone stops whole',
    async (t) => {
      const other = makeDataDir(t);
      const environment = { ...FAST, ...SMALL };
      const taken = await launchMesh({ dataDir: other, port: mesh.port, environment });
      await taken.exited;
      t.match(taken.output(), new RegExp(`port ${mesh.port} on 127.0.0.1 is in use`));

      const second = await startMesh({ dataDir: other, environment, isByNpm: true });
      t.equal(await increment(second, key, 100), 200);
      second.child.kill('SIGTERM');
      await second.exited;
      t.strictSame(processesOf(other), [], 'no process is left');
      t.notOk(existsSync(join(other, 'mesh.json')));
    },
  );

  await t.test('starts again what dies, and says so', async (t) => {
    const before = mesh.describe();
    const pids = (file = mesh.describe()) => [
      file.counters[0]!.pid,
      file.gateways[0]!.pid,
      file.nats[0]!.pid!,
      file.postgres.pid!,
    ];
    for (const pid of pids(before)) process.kill(pid, 'SIGKILL');
    for (const name of ['counter-1', 'gateway-1', 'nats-server', 'PostgreSQL']) {
      await mesh.says(
        new RegExp(
          `\\d\\d:\\d\\d:\\d\\d mesh ${name} \\(pid \\d+\\) was killed by SIGKILL; starting it again`,
        ),
      );
      await mesh.says(new RegExp(`${name} is back \\(pid \\d+\\)`));
    }
    const after = mesh.describe();
    for (const [index, pid] of pids(before).entries()) t.not(pids(after)[index], pid);
    t.ok(pids(after).every((pid) => livingProcess(pid)));
    t.equal(after.nats[0]?.url, before.nats[0]?.url, 'on the same port');
    t.equal(after.postgres.url, before.postgres.url);
    await until('an increment is accepted', async () => (await increment(mesh, key, 1)) === 200);
  });

  await t.test('stops whole at a SIGTERM to the group of npm', async (t) => {
    t.equal(await increment(mesh, key, 1), 200);
    process.kill(-mesh.child.pid!, 'SIGTERM');
    await mesh.exited;
    t.strictSame(processesOf(dataDir), [], 'no process is left');
    t.notOk(existsSync(join(dataDir, 'mesh.json')));
    t.match(mesh.output(), /\d\d:\d\d:\d\d mesh stopped/);
    t.notMatch(mesh.output(), /did not stop at/);
  });
});

void t.test('a mesh whose supervisor is killed', async (t) => {
  const dataDir = makeDataDir(t);
  const key = randomUUID();
  // So long a flush that an increment is only in the stream when the mesh is killed.
  const start = (environment: NodeJS.ProcessEnv = {}) =>
    startMesh({ dataDir, environment: { ...SMALL, ...environment } });
  const first = await start();

  await t.test('ends by itself', async (t) => {
    t.equal(await increment(first, key, 7), 200);
    // Services that stop need it, so it is thawed first.
    process.kill(first.describe().nats[0]!.pid!, 'SIGSTOP');
    process.kill(-first.child.pid!, 'SIGKILL');
    await first.exited;
    const processes = () => processesOf(dataDir);
    await until('the end of all', processes, ({ length }) => length === 0, 60_000);
    t.notOk(existsSync(join(dataDir, 'lock')), 'the folder is free');
    const { code, error } = await runCommand('status', { DATA_DIR: dataDir });
    t.equal(code, 3);
    t.match(error, /^mesh: no mesh runs on .*: start one with npm start/);
  });

  const next = await start();
  const left = next.describe();
  await t.test(
    'has counted before the next start, which can be killed with its cleanup',
    async (t) => {
      t.notMatch(next.output(), /earlier mesh/);
      t.equal(await total(next, key), '7');

      t.equal(await increment(next, key, 7), 200);
      const cleanup = findProcesses(dataDir).find(({ command }) => command.includes('end-orphans'));
      process.kill(cleanup!.pid, 'SIGKILL');
      // The mesh itself; what it started has groups of its own.
      process.kill(-next.child.pid!, 'SIGKILL');
      await next.exited;
      t.ok(livingProcess(left.nats[0]!.pid!), 'the broker is left running');
    },
  );

  const second = await start(FAST);
  await t.test('ends what was left', async (t) => {
    t.match(second.output(), /ending what an earlier mesh left running: nats-server/);
    const pids = [...left.gateways, ...left.counters, ...left.nats, left.postgres].map(
      (one) => one.pid!,
    );
    for (const pid of pids) t.notOk(livingProcess(pid));
    t.equal(second.describe().nats[0]?.url, left.nats[0]?.url, 'and keeps its addresses');
  });

  await t.test('loses nothing and counts nothing twice', async (t) => {
    await until('the total', async () => (await total(second, key)) === '14');
    t.equal(await increment(second, key, 1), 200);
    await until('the next total', async () => (await total(second, key)) === '15');
  });

  await t.test('a second Ctrl-C stops at once', async (t) => {
    // A gateway that waits for a frozen broker's acknowledgement takes seconds to drain.
    process.kill(second.describe().nats[0]!.pid!, 'SIGSTOP');
    const waiting = increment(second, key, 1).catch(() => 0);
    const interrupt = () => process.kill(-second.child.pid!, 'SIGINT');
    interrupt();
    await second.says('stopping: gateways drain');
    await delay(1100); // Within a second it would be the same Ctrl-C, delivered twice by npm.
    const since = performance.now();
    interrupt();
    await second.exited;
    await waiting;
    t.match(second.output(), /stopping at once/);
    t.ok(performance.now() - since < 2000);
    t.strictSame(processesOf(dataDir), [], 'no process is left');
  });
});

void t.test('what keeps a mesh from its folder or its address is a line, no stack', async (t) => {
  const dataDir = makeDataDir(t);
  const elsewhere = await launchMesh({ dataDir, environment: { HOST: '203.0.113.1' } });
  await elsewhere.exited;
  t.match(elsewhere.output(), /mesh the gateways can't listen on HOST and PORT: .*EADDRNOTAVAIL/);
  t.notMatch(elsewhere.output(), /\n +at /);

  const full = makeDataDir(t);
  // As a full disk, it lets files be made and nothing be written.
  const script = 'ulimit -f 0 && exec "$0" mesh/local/start.ts 2>&1';
  const { stdout: output } = spawnSync('sh', ['-c', script, process.execPath], {
    encoding: 'utf8',
    env: { ...inheritedEnvironment(), DATA_DIR: full },
  });
  t.match(output, /mesh the folder .* can't be used: EFBIG/);
  t.notMatch(output, /\n +at /);
  t.strictSame(
    readdirSync(full).filter((name) => name.startsWith('lock')),
    [],
    'nothing is left of each try',
  );
});

function readSecrets(dataDir: string): string[] {
  return readFileSync(join(dataDir, 'secrets.json'), 'utf8').match(/p\w{32}/g) ?? [];
}

async function occupy(t: Test, port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1');
  await Promise.race([once(server, 'listening'), once(server, 'error')]).catch(() => {});
  t.teardown(() => server.close());
}
