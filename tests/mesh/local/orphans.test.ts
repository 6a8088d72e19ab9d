import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { endOrphans, recordProcess } from '../../../mesh/local/orphans.ts';
import { TIERS } from '../../../mesh/local/stop-steps.ts';
import { freeze } from '../../support/freeze.ts';
import { livingProcess } from '../../support/living-process.ts';

/** A program that notes its name in a file when it ends as asked, and what else it does. */
interface Program {
  name: string;
  /** Must be true before it ends. */
  condition?: string;
  setup?: string;
}

async function start(t: Test, folder: string, program: Program): Promise<number> {
  const { name, condition = 'true', setup = '' } = program;
  const script = `
    const { appendFileSync, existsSync, writeFileSync } = require('node:fs');
    process.chdir('${folder}');
    const end = () => {
      if (!(${condition})) return;
      appendFileSync('ended', '${name}\\n');
      process.exit();
    };
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => setInterval(end, 10));
    setInterval(() => {}, 1000);
    ${setup}
    console.log('up');`;
  const child = spawn(process.execPath, ['-e', script], { env: { PATH: process.env.PATH } });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid!;
}

function ended(folder: string): string[] {
  return readFileSync(join(folder, 'ended'), 'utf8').trim().split('\n');
}

await t.test('what is recorded is ended in the order of a stop, and nothing else', async (t) => {
  const folder = t.testdir();
  for (const tier of TIERS.toReversed()) {
    recordProcess(folder, tier, { tier, pid: await start(t, folder, { name: tier }) });
  }
  const stranger = await start(t, folder, { name: 'stranger' });
  const reused = { tier: 'nats', identity: `${stranger} 1 an-earlier-boot` };
  writeFileSync(join(folder, 'processes', 'reused.json'), JSON.stringify(reused));
  writeFileSync(join(folder, 'processes', 'half.json.draft'), '{');

  const said: string[] = [];
  await endOrphans(folder, (line) => said.push(line));
  t.strictSame(ended(folder), [...TIERS]);
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
  const broker = await start(t, folder, {
    name: 'broker',
    setup: "setInterval(() => writeFileSync('beat', ''), 10);",
  });
  const service = await start(t, folder, { name: 'service', condition: "existsSync('beat')" });
  recordProcess(folder, 'nats-server', { tier: 'nats', pid: broker });
  recordProcess(folder, 'gateway-1', { tier: 'gateways', pid: service });
  await freeze({ pid: broker, kill: (signal) => process.kill(broker, signal) });
  rmSync(join(folder, 'beat'), { force: true });
  await endOrphans(folder, () => {});
  t.strictSame(ended(folder), ['service', 'broker'], 'none was killed');
});

await t.test('a process that has ended needs no record', async (t) => {
  const folder = t.testdir();
  const child = spawn('true');
  await once(child, 'exit');
  recordProcess(folder, 'gateway-1', { tier: 'gateways', pid: child.pid! });
  t.notOk(existsSync(join(folder, 'processes')));
});
