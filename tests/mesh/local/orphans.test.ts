import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { NODE_FLAGS } from '../../../mesh/local/services.ts';
import { endOrphans } from '../../../mesh/local/orphans.ts';
import { livingProcess } from '../../support/living-process.ts';

const FOREVER = `process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1000); console.log('up')`;

await t.test('orphans are known by their command line on this folder', async (t) => {
  const folder = t.testdir({
    gateway: { 'main.ts': FOREVER },
    counter: { 'main.ts': FOREVER },
    data: { log: 'a line\n' },
  });
  const data = join(folder, 'data');
  const start = async (command: string, args: string[]) => {
    const child = spawn(command, args, { cwd: folder, env: { PATH: process.env.PATH } });
    t.teardown(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    return child.pid!;
  };
  const gateway = await start(process.execPath, [
    ...NODE_FLAGS.gateway,
    'gateway/main.ts',
    join(data, 'gateway-1'),
  ]);
  const counter = await start(process.execPath, ['counter/main.ts', join(data, 'counter-12')]);
  const neighbour = await start(process.execPath, ['counter/main.ts', `${data}-2/counter-1`]);
  const reader = await start('tail', ['-f', join(data, 'log')]);

  const said: string[] = [];
  await endOrphans(data, (line) => said.push(line));
  t.notOk(livingProcess(gateway), 'a gateway is ended');
  t.notOk(livingProcess(counter), 'a counter is ended');
  t.ok(livingProcess(neighbour), 'a service of another folder is left alone');
  t.ok(livingProcess(reader), 'a tail on the folder is left alone');
  t.match(said, [
    /^ending what an earlier mesh left running: gateways and counters \(pid \d+, \d+\)$/,
  ]);

  said.length = 0;
  await endOrphans(data, (line) => said.push(line));
  t.strictSame(said, [], 'nothing is said where nothing is left');
});

await t.test('an orphan that is frozen is thawed to end in order', async (t) => {
  const folder = t.testdir({ counter: { 'main.ts': FOREVER } });
  const args = ['counter/main.ts', join(folder, 'data', 'counter-1')];
  const child = spawn(process.execPath, args, { cwd: folder, env: { PATH: process.env.PATH } });
  await once(child.stdout, 'data');
  child.kill('SIGSTOP');
  const exited = once(child, 'exit');
  await endOrphans(join(folder, 'data'), () => {});
  t.strictSame(await exited, [0, null]);
});
