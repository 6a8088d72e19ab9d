import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { followLogs } from '../../../mesh/cli/logs/follow-logs.ts';
import { findLogs } from '../../../mesh/cli/logs/log-files.ts';
import { openLog } from '../../../mesh/cli/logs/read-log.ts';
import { openRotatedLog } from '../../../mesh/servers/log-file.ts';
import { inheritedEnvironment } from '../../support/inherited-environment.ts';
import { isThere, until } from '../../support/until.ts';
import { runCommand } from './run-command.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const line = (second: number, fields: object) =>
  JSON.stringify({ level: 30, time: `2026-11-27T09:00:0${second}.000Z`, ...fields });
const READY = line(1, { service: 'counter', pid: 1, msg: 'the counter is ready' });
const FLUSH_FAILED = line(5, {
  level: 50,
  service: 'counter',
  pid: 1,
  err: { message: 'disk full', stack: 'Error: disk full\n    at flush (counter/flush.ts:1:1)' },
  msg: 'a flush failed',
});
const FILES = {
  'logs/counter-1.log.2': `${READY}\n`,
  'logs/counter-1.log.1': `${line(2, { msg: 'the second file' })}\n`,
  'logs/counter-1.log': `${FLUSH_FAILED}\n`,
  'logs/gateway-1.log': `${line(4, { level: 40, msg: 'the broker is away' })}\nError: it crashed\n    at main.ts:1:1\n`,
  'logs/gateway-2.log': line(6, { msg: 'the gateway is ready' }),
  'logs/notes.txt': 'not a log',
  'nats/nats-server.log.2026.11.27.09.00.01.123456789':
    '[7] 2026/11/27 09:00:00.000000 [INF] Starting nats-server\n',
  'nats/nats-server.log': '[7] 2026/11/27 09:00:07.000000 [ERR] Slow consumer\n',
  'postgres/log/postgres-20261127T090000.log':
    '2026-11-27 09:00:03.000 UTC [9] ERROR:  duplicate key\n' +
    '2026-11-27 09:00:03.000 UTC [9] DETAIL:  Key exists.\n',
};

void t.test('logs merges all files of all services and servers by time', async (t) => {
  const { mesh } = meshWith(t, FILES);
  const all = await mesh('logs --utc');
  t.equal(all.code, 0);
  t.strictSame(all.output.trimEnd().split('\n'), [
    '2026-11-27T09:00:00.000Z nats-server info  Starting nats-server',
    '2026-11-27T09:00:01.000Z counter-1   info  the counter is ready',
    '2026-11-27T09:00:02.000Z counter-1   info  the second file',
    '2026-11-27T09:00:03.000Z postgres    error duplicate key',
    '2026-11-27T09:00:03.000Z postgres    error detail: Key exists.',
    '2026-11-27T09:00:04.000Z gateway-1   warn  the broker is away',
    '2026-11-27T09:00:04.000Z gateway-1   error Error: it crashed',
    '2026-11-27T09:00:04.000Z gateway-1   error     at main.ts:1:1',
    '2026-11-27T09:00:05.000Z counter-1   error a flush failed: disk full',
    '    at flush (counter/flush.ts:1:1)',
    '2026-11-27T09:00:06.000Z gateway-2   info  the gateway is ready',
    '2026-11-27T09:00:07.000Z nats-server error Slow consumer',
  ]);

  const names = async (line: string) => {
    const { output } = await mesh(`logs --utc ${line}`);
    return output.split('\n').flatMap((one) => /^\S+Z (\S+)/.exec(one)?.[1] ?? []);
  };
  t.strictSame(new Set(await names('gateway')), new Set(['gateway-1', 'gateway-2']));
  t.strictSame(new Set(await names('gateway-2 postgres')), new Set(['postgres', 'gateway-2']));
  t.equal((await names('--level warn')).length, 7);
  t.strictSame(await names('--level error nats'), ['nats-server']);
  t.strictSame(await names('--since 2026-11-27T09:00:06Z'), ['gateway-2', 'nats-server']);
  t.strictSame(await names('--since 10m'), []);
  const local = (await mesh('logs gateway-2')).output;
  t.match(local, /^2026-11-27 \d\d:\d\d:06\.000 gateway-2 info {2}the gateway is ready\n$/);
});

void t.test(
  'logs --json passes lines of JSON on as they are, and every line is JSON',
  async (t) => {
    const { mesh } = meshWith(t, FILES);
    const { output } = await mesh('logs --json --level warn');
    const lines = output.trimEnd().split('\n');
    t.ok(lines.includes(FLUSH_FAILED));
    t.match(
      lines.map((line) => JSON.parse(line)).find(({ service }) => service === 'nats-server'),
      { level: 50, time: '2026-11-27T09:00:07.000Z', service: 'nats-server', msg: 'Slow consumer' },
    );
  },
);

void t.test('logs - reads what a container engine has', async (t) => {
  const { mesh } = meshWith(t, {});
  const bare = await mesh('logs - --utc --level warn', `${READY}\n${FLUSH_FAILED}`);
  t.match(bare, { code: 0, output: /^2026-11-27T09:00:05\.000Z counter error a flush failed/ });
  const prefixed = await mesh('logs - --utc', `counter-2  | ${FLUSH_FAILED}\n`);
  t.match(prefixed.output, /^2026-11-27T09:00:05\.000Z counter-2 error a flush failed/);
});

void t.test('logs says what is wrong with its command line, and where logs are', async (t) => {
  const none = meshWith(t, {});
  t.match(await none.mesh('logs'), {
    code: 3,
    error: /has no logs: npm start keeps them there.*docker compose logs --no-log-prefix/,
  });
  const { mesh } = meshWith(t, FILES);
  t.match(await mesh('logs counter-7'), {
    code: 1,
    error: /no log of "counter-7", only of counter-1, gateway-1/,
  });
  t.match(await mesh('logs --level loud'), { code: 2, error: /one of trace, debug, info, warn/ });
  t.match(await mesh('logs --since yesterday'), { code: 2, error: /give 90s, 10m, 2h or 3d/ });
  t.match(await mesh('logs - gateway'), { code: 2 });
});

void t.test('logs reads nothing through a link', async (t) => {
  const { folder, mesh } = meshWith(t, FILES);
  writeFileSync(join(folder, 'secret'), 'precious\n');
  symlinkSync(join(folder, 'secret'), join(folder, 'logs', 'proxy.log'));
  t.notMatch((await mesh('logs')).output, 'precious');
});

void t.test('logs --follow goes on across rotations, without a gap or a repeat', async (t) => {
  const folder = t.testdir({ logs: {} });
  // A few lines each: several files are set aside between two looks, and the oldest are removed.
  const log = openRotatedLog(join(folder, 'logs', 'counter-1.log'), 4_000);
  let written = 0;
  const write = (count: number) => {
    for (const end = written + count; written < end; written += 1) {
      log.write(`{"level":30,"time":"2026-11-27T09:00:00.000Z","msg":"${written}"}`);
    }
  };
  write(10);
  const seen: number[] = [];
  const end = new AbortController();
  const following = (async () => {
    const options = { follows: true, sinceMs: -Infinity, signal: end.signal };
    for await (const { entry } of followLogs(() => findLogs(folder), options)) {
      seen.push(Number(entry.message));
    }
  })();
  for (let round = 0; round < 4; round += 1) {
    await until('all lines', () => seen.length === written, isThere, 5_000);
    // Two files' worth, in two steps: none that was not read is removed.
    write(90);
  }
  await until('all lines', () => seen.length === written, isThere, 5_000);
  // A service of whose log there was none.
  const other = join(folder, 'logs', 'gateway-1.log');
  writeFileSync(other, '{"level":30,"time":"2026-11-27T09:00:01.000Z","msg":"-1"}\n');
  await until('the new log', () => seen.at(-1) === -1, isThere, 5_000);
  // Half a line is none.
  writeFileSync(other, '{"level":30,"msg":"', { flag: 'a' });
  renameSync(other, `${other}.1`);
  writeFileSync(`${other}.1`, '-2"}\n', { flag: 'a' });
  writeFileSync(other, '{"level":30,"msg":"-3"}\n');
  await until('the line of two halves', () => seen.at(-1) === -3, isThere, 5_000);
  end.abort();
  await following;
  log.close();
  t.strictSame(seen, [...Array.from({ length: written }, (_, index) => index), -1, -2, -3]);
});

void t.test('logs misses no line that is written while a log is set aside', (t) => {
  const folder = t.testdir({ 'one.log': 'first\n' });
  const current = join(folder, 'one.log');
  const aside = `${current}.1`;
  let paths = [current];
  let isDue = false;
  const log = openLog(() => {
    // The end of the file was seen just before.
    if (isDue) {
      isDue = false;
      writeFileSync(current, 'last\n', { flag: 'a' });
      renameSync(current, aside);
      writeFileSync(current, 'next\n');
      paths = [aside, current];
    }
    return paths;
  });
  t.equal(log.next(), 'first');
  isDue = true;
  t.strictSame([log.next(), log.next(), log.next()], ['last', 'next', undefined]);
  log.close();
  t.end();
});

void t.test(
  'logs of 30 MB are read in bounded memory, and end quietly where nobody reads',
  async (t) => {
    const line = `{"level":30,"time":"2026-11-27T09:00:00.000Z","msg":"${'x'.repeat(20_000)}"}\n`;
    const content = line.repeat(250);
    const files = ['counter-1', 'gateway-1'].flatMap((name) =>
      ['', '.1', '.2'].map((end) => [`logs/${name}.log${end}`, content] as const),
    );
    const { folder } = meshWith(t, Object.fromEntries(files));
    // Half of this heap has what the command is made of; the whole of the logs does not fit beside it.
    const args = ['--max-old-space-size=48', 'mesh/cli/main.ts', 'logs', '--json'];
    const env = { ...inheritedEnvironment(), DATA_DIR: folder };
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let bytes = 0;
    let errors = '';
    child.stdout.on('data', (part: Buffer) => (bytes += part.length));
    child.stderr.on('data', (part: Buffer) => (errors += String(part)));
    const [code] = (await once(child, 'close')) as [number];
    t.equal(errors, '');
    t.equal(code, 0);
    t.equal(bytes, files.length * content.length);

    const cut = spawn('sh', ['-c', `${process.execPath} mesh/cli/main.ts logs | head -n 1`], {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let cutErrors = '';
    cut.stderr.on('data', (part: Buffer) => (cutErrors += String(part)));
    await once(cut, 'close');
    t.equal(cutErrors, '');
  },
);

/** A data folder, and commands on it. */
function meshWith(t: Test, files: Record<string, string>) {
  const folder = t.testdir();
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    const at = new Date('2026-11-27T09:00:08Z');
    utimesSync(file, at, at);
  }
  const mesh = (line: string, input?: string) => runCommand(line, { DATA_DIR: folder }, input);
  return { folder, mesh };
}
