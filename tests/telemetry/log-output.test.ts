import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { spawnDetached } from '../../mesh/servers/detached-process.ts';

const LOG = fileURLToPath(new URL('../../telemetry/log.ts', import.meta.url));
/** Says on its other output that it lives after its lines could not be written. */
const SCRIPT = `
  const { createLog } = await import(${JSON.stringify(LOG)});
  const log = createLog('test', 'info');
  for (let line = 0; line < 20; line++) {
    log.info('a line');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  process.stderr.write('alive');
  process.exit(0);`;

async function runWith(stdout: number | 'pipe') {
  const service = await spawnDetached(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    stdio: ['ignore', stdout, 'pipe'],
    env: { PATH: process.env.PATH },
  });
  let said = '';
  service.stderr!.on('data', (chunk) => (said += String(chunk)));
  service.stdout?.destroy();
  const { code } = await service.exited;
  return { said, code };
}

const isLinux = process.platform === 'linux';

await t.test(
  'a full disk below the log ends no service',
  { skip: isLinux ? false : 'only Linux has /dev/full' },
  async (t) => {
    const full = openSync('/dev/full', 'w');
    t.teardown(() => closeSync(full));
    t.strictSame(await runWith(full), { said: 'alive', code: 0 });
  },
);

await t.test('a closed pipe ends no service', async (t) => {
  t.strictSame(await runWith('pipe'), { said: 'alive', code: 0 });
});

await t.test('a pipe that nobody reads keeps no service from its end', async (t) => {
  const script = `
    const { createLog } = await import(${JSON.stringify(LOG)});
    const log = createLog('test', 'info');
    for (let line = 0; line < 10_000; line++) log.info('x'.repeat(100));
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    process.stderr.write('alive');
    process.exit(0);`;
  const service = await spawnDetached(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  });
  t.teardown(() => service.kill('SIGKILL'));
  const [said] = (await once(service.stderr!, 'data')) as [Buffer];
  t.equal(String(said), 'alive');
  const ended = await Promise.race([
    service.exited.then(() => true),
    delay(5_000, false, { ref: false }),
  ]);
  t.ok(ended, 'it has ended');
});
