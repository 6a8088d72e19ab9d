import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { spawnDetached } from '../../../mesh/servers/detached-process.ts';
import { livingProcess } from '../../support/living-process.ts';
import { until } from '../../support/until.ts';

const MODULE = import.meta.resolve('../../../mesh/servers/detached-process.ts');

await t.test('a program runs under the pid that was told before', async (t) => {
  const file = join(t.testdir(), 'pid');
  let told: [number, boolean] | undefined;
  const script = 'echo $$ > "$1"; exit 7';
  const started = await spawnDetached('/bin/sh', ['-c', script, 'sh', file], {
    stdio: 'ignore',
    beforeRun: (pid) => (told = [pid, existsSync(file)]),
  });
  t.strictSame(await started.exited, { code: 7, signal: null });
  t.strictSame(told, [started.pid, false]);
  t.equal(readFileSync(file, 'utf8'), `${started.pid}\n`);
});

await t.test('a program that can not be recorded never runs', async (t) => {
  const file = join(t.testdir(), 'ran');
  let pid = 0;
  const spawning = spawnDetached('touch', [file], {
    stdio: 'ignore',
    beforeRun: (given) => {
      pid = given;
      throw new Error('the disk is full');
    },
  });
  await t.rejects(spawning, { message: 'the disk is full' });
  await until('its end', () => livingProcess(pid) === undefined);
  t.notOk(existsSync(file));
});

await t.test('a program never runs where its launcher is killed before', async (t) => {
  const file = join(t.testdir(), 'ran');
  const script = `
    import { writeSync } from 'node:fs';
    import { spawnDetached } from '${MODULE}';
    await spawnDetached('touch', ['${file}'], {
      stdio: 'ignore',
      beforeRun: (pid) => {
        writeSync(1, String(pid));
        process.kill(process.pid, 'SIGKILL');
      },
    });`;
  const launcher = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [pid] = (await once(launcher.stdout.setEncoding('utf8'), 'data')) as [string];
  await until('its end', () => livingProcess(Number(pid)) === undefined);
  t.notOk(existsSync(file));
});
