import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { makeKeys, untilTotal } from '../../support/counters.ts';
import { post } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { commandsOn, runCommand } from './run-command.ts';

void t.test('what the commands tell of a mesh', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 200 });
  const gateway = await startGateway(t, servers);
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '200' });
  const mesh = commandsOn(servers, { gateways: [gateway], counters: [counter] });
  const [key = ''] = makeKeys(1);
  await post(gateway.url, { key, value: 7 });
  await post(gateway.url, { key: 'none', value: 7 });
  await untilTotal(servers.database, 7);

  await t.test('status as JSON has services, stream, lag, dead letters and database', async (t) => {
    const { code, answer } = await mesh('status --json');
    t.equal(code, 0);
    const version = /^\d+\.\d+\.\d+$/;
    t.match(answer(), {
      findings: [],
      services: [
        {
          name: 'gateway',
          version,
          stats: { pid: gateway.pid, increments_accepted: 1, responses: { 200: 1, 400: 1 } },
        },
        {
          name: 'counter',
          version,
          stats: { pid: counter.pid, increments_committed: 1, messages_held: 0, dead_letters: 0 },
        },
      ],
      broker: {
        stream: { messages: Number, last_sequence: Number, replicas: 1 },
        consumer: { undelivered: 0, pulls_waiting: 1 },
        dead_letters: { messages: 0, last_at: null },
      },
      database: { version: /^\d/, counters: 1, is_estimated: false, ledger_rows: Number },
      staleness_ms: 0,
    });
    t.match((await mesh('status')).output, / 1 counter and \d+ ledger rows?,.*All is well\.\n$/s);
  });

  await t.test(
    'status and the start of a gateway name a promise that nobody has stated',
    async (t) => {
      const unstated = await startGateway(t, servers, { NATS_SYNC: '' });
      const line = /sync each message to disk is not stated.*lost in a power cut.*NATS_SYNC=always/;
      t.match(
        unstated.log.filter(({ level }) => level === 40).map(({ msg }) => msg),
        [line],
      );
      t.match((await mesh('status --json')).answer().findings, [
        { name: 'SyncUnstated', next: /NATS_SYNC=always/ },
      ]);
      await unstated.stop();
    },
  );

  await t.test('status names what is wrong', async (t) => {
    counter.kill('SIGSTOP');
    t.teardown(() => counter.kill('SIGCONT'));
    await post(gateway.url, { key, value: 1 });
    const silent = await mesh('status --json');
    t.equal(silent.code, 1);
    t.match(silent.answer().findings, [
      {
        name: 'CounterGone',
        level: 'bad',
        cause: / is frozen$/,
        effect: /wait in the stream, uncounted/,
      },
    ]);
    t.ok(silent.answer().staleness_ms > 0, 'what waits is seen from outside');

    const database = '--database-url postgres://nobody:x@127.0.0.1:1/nothing';
    const away = await mesh(`status --json ${database}`);
    t.equal(away.code, 1);
    t.match(away.answer(), { staleness_ms: null, database: { away: /127\.0\.0\.1:1/ } });
    t.equal((await mesh(`audit ${database}`)).code, 3);

    const broker = await mesh('status --nats-url nats://127.0.0.1:1');
    t.equal(broker.code, 3);
    t.match(
      broker.output,
      /broker +unreachable: can't connect .*✗ The broker can not be reached\n.*Increments are refused with 503/s,
    );
  });

  await t.test('nats-context writes what the nats CLI reads, for its user only', async (t) => {
    const { code, answer } = await mesh('nats-context --json');
    t.equal(code, 0);
    const { path } = answer();
    t.equal(path, join(servers.folder, 'nats/context/increment-mesh.json'));
    t.equal(statSync(path).mode & 0o777, 0o600);
    const context = JSON.parse(readFileSync(path, 'utf8'));
    const { host, password } = new URL(servers.urls.nats.inspector);
    const inspector = { user: 'inspector', password, inbox_prefix: '_INBOX.inspector' };
    t.match(context, { url: `nats://${host}`, ...inspector }, 'no password in what may be printed');
    t.equal((await mesh('nats-context')).code, 0, 'its own one is written again');

    writeFileSync(path, '{"url":"nats://elsewhere"}');
    const refused = await mesh('nats-context');
    t.equal(refused.code, 1);
    t.match(refused.error, /was not made by this command/);
    t.equal((await mesh('nats-context --force')).code, 0);
    const other = await mesh('nats-context --role provisioner');
    t.equal(other.code, 0);
    t.match(other.output, /increment-mesh-provisioner\.json/);
    t.match((await mesh('nats-context --role root')).error, /--role must be/);
  });
});

void t.test('a command line that is not understood', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  const environment = { DATA_DIR: folder, NATS_URL: '', DATABASE_URL: '' };
  const mesh = (line: string) => runCommand(line, environment);

  const child = spawnSync('npm', ['run', '--silent', 'mesh', '--', 'sweep'], { encoding: 'utf8' });
  t.match(child, { status: 2, stdout: '', stderr: /there is no command "sweep"/ }, 'by npm');
  t.match(await mesh('help'), { code: 0, output: /dead-letters replay SEQ +Counts a dead letter/ });
  t.match(await mesh('audit --help'), { code: 0, output: /npm run mesh -- audit\n/ });
  t.match(await mesh(''), { code: 2, error: /npm run mesh -- COMMAND/ });
  t.match(await mesh('dead-letters'), { code: 2, error: /dead-letters list/ });
  t.match(await mesh('sweep'), { code: 2, error: /there is no command "sweep"/ });
  t.match(await mesh('audit --deep'), { code: 2, error: /Unknown option '--deep'/ });
  t.match(await mesh('dead-letters show x'), {
    code: 3,
    error: new RegExp(`no mesh runs on ${folder}`),
  });
  t.match(await mesh('status'), { code: 3, error: /start one with npm start/ });
  t.match(await mesh('audit --nats-url http://x'), {
    code: 2,
    error: /NATS_URL is not understood/,
  });
});

void t.test('status --watch --json writes JSON and nothing else', (t) => {
  const nowhere = '--nats-url nats://127.0.0.1:1 --database-url postgres://nobody@127.0.0.1:1/none';
  const line = `mesh/cli/main.ts status --watch --json ${nowhere}`;
  // It ends at the first Ctrl-C, by when it has looked at least once.
  const { stdout } = spawnSync(process.execPath, line.split(' '), {
    encoding: 'utf8',
    timeout: 6_000,
    killSignal: 'SIGINT',
    env: { ...process.env, DATA_DIR: join(tmpdir(), 'increment-mesh-none') },
  });
  const [first = ''] = stdout.split(/(?<=^\}\n)/m);
  t.match(JSON.parse(first), { findings: [{ name: 'BrokerAway' }] });
  t.notMatch(stdout, / UTC$/m);
  t.end();
});
