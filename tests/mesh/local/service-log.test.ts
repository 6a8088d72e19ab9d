import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import t from 'tap';
import { spawnDetached } from '../../../mesh/servers/detached-process.ts';
import { readMeshSettings } from '../../../mesh/local/config.ts';
import { keepLog } from '../../../mesh/local/service-log.ts';
import { counterProgram } from '../../../mesh/local/services.ts';
import { livingProcess } from '../../support/living-process.ts';
import { until } from '../../support/until.ts';

await t.test('a service log is kept whole, and its warnings are shown', async (t) => {
  const lines = [
    '{"level":30,"msg":"all is well"}',
    '{"level":40,"msg":"the broker is away"}',
    '{"level":50,"err":{"message":"disk full"},"msg":"a flush failed"}',
    'Error: not a log line',
  ];
  const script = `process.stdout.write(${JSON.stringify(lines.map((line) => `${line}\n`).join(''))})`;
  const service = await spawnDetached(process.execPath, ['-e', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  });
  const file = join(t.testdir(), 'counter-1.log');
  const shown: string[] = [];
  keepLog(service, file, {
    name: 'counter-1',
    say: (line) => shown.push(stripVTControlCharacters(line)),
  });
  await until('all lines', () => shown.length === 3);
  t.strictSame(shown, [
    'counter-1 warn: the broker is away',
    'counter-1 error: a flush failed: disk full',
    'counter-1: Error: not a log line',
  ]);
  t.equal(readFileSync(file, 'utf8'), lines.map((line) => `${line}\n`).join(''));
});

await t.test(
  'a full disk below a service log stops nothing, and is said once',
  { skip: process.getuid?.() === 0 ? false : 'only root can mount a small disk' },
  async (t) => {
    const disk = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    t.teardown(() => {
      execFileSync('umount', ['-l', disk]);
      rmSync(disk, { recursive: true });
    });
    const service = await spawnDetached(
      process.execPath,
      ['-e', 'process.stdin.pipe(process.stdout)'],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
        env: { PATH: process.env.PATH },
      },
    );
    t.teardown(() => service.kill('SIGKILL'));
    const file = join(disk, 'counter-1.log');
    const said: string[] = [];
    keepLog(service, file, { name: 'counter-1', say: (line) => said.push(line) });
    const write = (line: string) => service.stdin!.write(`${line}\n`);
    const isKept = (text: string) => () => readFileSync(file, 'utf8').includes(text);
    write('{"level":30,"msg":"before"}');
    await until('the first line', isKept('before'));

    const filler = join(disk, 'filler');
    t.throws(() => writeFileSync(filler, Buffer.alloc(128 * 1024)), { code: 'ENOSPC' });
    // More than what is left of the page that has the log's end.
    for (let line = 0; line < 3; line++) write(`{"level":30,"msg":"${'x'.repeat(4_096)}"}`);
    await until('it is said', () => said.length > 0);
    write('Error: shown all the same');
    await until('a line', () => said.length > 1);
    t.match(said, [/counter-1\.log can't be written \(ENOSPC/, /shown all the same/]);

    rmSync(filler);
    write('{"level":30,"msg":"after"}');
    await until('what comes after', isKept('after'));
    t.match(said[2], /is written again; [234] lines are lost/);
    t.equal(said.length, 3);
  },
);

await t.test('a service whose log can not be kept is not left running', async (t) => {
  const program = counterProgram('counter-1', 1, {
    urls: { nats: 'nats://127.0.0.1:1', database: 'postgres://127.0.0.1:1/increments' },
    context: {
      settings: readMeshSettings({}),
      environment: { PATH: process.env.PATH },
      dataFolder: { logs: join(t.testdir({ file: '' }), 'file') },
      say: () => undefined,
      runAs: () => Promise.resolve(undefined),
    },
  });
  let started = 0;
  await t.rejects(
    program.launch((pid) => (started = pid)),
    { code: 'EEXIST' },
  );
  t.not(started, 0);
  await until('it ends', () => livingProcess(started) === undefined);
});
