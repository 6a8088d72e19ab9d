import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { endOrphans, recordProcess } from '../../../mesh/local/orphans.ts';
import { TIERS } from '../../../mesh/local/stop-steps.ts';
import { freeze } from '../../support/freeze.ts';
import { livingProcess } from '../../support/living-process.ts';

const FOREVER = `
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit());
  setInterval(() => {}, 1000);
  console.log('up');`;

async function start(
  t: Test,
  ended: string[],
  { name, script = FOREVER }: { name: string; script?: string },
): Promise<number> {
  const child = spawn(process.execPath, ['-e', script], { env: { PATH: process.env.PATH } });
  t.teardown(() => child.kill('SIGKILL'));
  child.once('exit', (code) => ended.push(code === 0 ? name : `${name}, killed`));
  await once(child.stdout, 'data');
  return child.pid!;
}

await t.test('what is recorded is ended in the order of a stop, and nothing else', async (t) => {
  const folder = t.testdir();
  const ended: string[] = [];
  for (const tier of TIERS.toReversed()) {
    recordProcess(folder, tier, { tier, pid: await start(t, ended, { name: tier }) });
  }
  const stranger = await start(t, ended, { name: 'stranger' });
  const reused = { tier: 'nats', identity: `${stranger} 1 an-earlier-boot` };
  writeFileSync(join(folder, 'processes', 'reused.json'), JSON.stringify(reused));
  writeFileSync(join(folder, 'processes', 'half.json.draft'), '{');

  const said: string[] = [];
  await endOrphans(folder, (line) => said.push(line));
  t.strictSame(ended, [...TIERS]);
  t.ok(livingProcess(stranger), 'a pid that is another process by now is left alone');
  t.equal(said.length, TIERS.length);
  t.match(said[3], /^ending what an earlier mesh left running: nats-server \(pid \d+\)$/);
  t.notOk(existsSync(join(folder, 'processes')));

  said.length = 0;
  await endOrphans(folder, (line) => said.push(line));
  t.strictSame(said, [], 'nothing is said where nothing is left');
});

await t.test('a frozen broker is thawed first, since services need it to end', async (t) => {
  const folder = t.testdir();
  const beat = join(folder, 'beat');
  const fs = `const { existsSync, writeFileSync } = require('node:fs'); const beat = '${beat}';`;
  const ended: string[] = [];
  const broker = await start(t, ended, {
    name: 'broker',
    script: `${fs} setInterval(() => writeFileSync(beat, ''), 10); ${FOREVER}`,
  });
  const service = await start(t, ended, {
    name: 'service',
    script: `${fs} process.on('SIGTERM', () => setInterval(() => existsSync(beat) && process.exit(), 10));
      console.log('up'); setInterval(() => {}, 1000);`,
  });
  recordProcess(folder, 'nats-server', { tier: 'nats', pid: broker });
  recordProcess(folder, 'gateway-1', { tier: 'gateways', pid: service });
  await freeze({ pid: broker, kill: (signal) => process.kill(broker, signal) });
  rmSync(beat, { force: true });
  await endOrphans(folder, () => {});
  t.strictSame(ended, ['service', 'broker']);
});

await t.test('a process that has ended needs no record', async (t) => {
  const folder = t.testdir();
  const child = spawn('true');
  await once(child, 'exit');
  recordProcess(folder, 'gateway-1', { tier: 'gateways', pid: child.pid! });
  t.notOk(existsSync(join(folder, 'processes')));
});
