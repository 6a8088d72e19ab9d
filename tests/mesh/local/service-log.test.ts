import { readFileSync } from 'node:fs';
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

await t.test('a service whose log can not be kept is not left running', async (t) => {
  const program = counterProgram('counter-1', 1, {
    urls: { nats: 'nats://127.0.0.1:1', database: 'postgres://127.0.0.1:1/increments' },
    context: {
      settings: readMeshSettings({}),
      environment: { PATH: process.env.PATH },
      dataFolder: { logs: join(t.testdir(), 'gone') },
      say: () => undefined,
      runAs: () => Promise.resolve(undefined),
    },
  });
  let started = 0;
  await t.rejects(
    program.launch((pid) => (started = pid)),
    { code: 'ENOENT' },
  );
  t.not(started, 0);
  await until('it ends', () => livingProcess(started) === undefined);
});
