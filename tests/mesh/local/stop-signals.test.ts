import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { until } from '../../support/until.ts';

const STOP_SIGNALS = new URL('../../../mesh/local/stop-signals.ts', import.meta.url).href;

await t.test('a signal that npm delivers twice is one, a later one stops at once', async (t) => {
  const script = `
    import { onStopSignals } from ${JSON.stringify(STOP_SIGNALS)};
    onStopSignals(() => console.log('stop'), () => { console.log('at once'); process.exit(); });
    setInterval(() => {}, 1000);
    console.log('up');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH: process.env.PATH },
  });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await until('it is up', () => said === 'up\n');

  child.kill('SIGTERM');
  await until('it stops', () => said === 'up\nstop\n');
  child.kill('SIGINT');
  await delay(1100); // What comes within a second of the first belongs to it.
  t.equal(said, 'up\nstop\n');
  child.kill('SIGINT');
  await once(child, 'exit');
  t.equal(said, 'up\nstop\nat once\n');
});
