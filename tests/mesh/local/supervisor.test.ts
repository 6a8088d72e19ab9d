import t from 'tap';
import { spawnDetached } from '../../../mesh/servers/detached-process.ts';
import { supervise, type Program } from '../../../mesh/local/supervisor.ts';
import { livingProcess } from '../../support/living-process.ts';
import { until } from '../../support/until.ts';

/** A program of one line, ready when it has printed something. */
function program(script: string, options: Partial<Program> = {}): Program {
  return {
    name: 'sleeper',
    launch: () =>
      spawnDetached(process.execPath, ['-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { PATH: process.env.PATH },
      }),
    ready: ({ stdout, exited }) =>
      new Promise((resolve, reject) => {
        stdout!.once('data', () => resolve());
        void exited.then(() => reject(new Error('sleeper ended before it was ready')));
      }),
    stopSteps: [
      { signal: 'SIGTERM', waitMs: 300 },
      { signal: 'SIGKILL', waitMs: 5000 },
    ],
    endAtOnce: 'SIGKILL',
    ...options,
  };
}

const FOREVER = `setInterval(() => {}, 1000); console.log('up');`;

function watched(script: string, options: Partial<Program> = {}) {
  const said: string[] = [];
  const pids: (number | undefined)[] = [];
  const supervised = supervise(program(script, options), {
    say: (line) => said.push(line),
    beforeRun: () => {},
    onLaunch: () => pids.push(supervised.pid),
  });
  return { supervised, said, pids };
}

await t.test('what dies is started again, each time a little later', async (t) => {
  const { supervised, said } = watched(FOREVER);
  await supervised.ready;
  for (const waitMs of [250, 500, 1000]) {
    const { pid } = supervised;
    process.kill(pid!, 'SIGKILL');
    const line = `sleeper (pid ${pid}) was killed by SIGKILL; starting it again in ${waitMs} ms`;
    await until(line, () => said.includes(line));
    await until('it is back', () => said.at(-1)?.startsWith('sleeper is back'));
    t.not(supervised.pid, pid);
  }
  await supervised.stop();
  t.notOk(livingProcess(supervised.pid!));
});

await t.test('what does not start the first time is not tried again', async (t) => {
  const { supervised, said, pids } = watched('process.exit(3)');
  await t.rejects(supervised.ready, { message: 'sleeper ended before it was ready' });
  t.strictSame(said, []);
  t.equal(pids.length, 1);
  await supervised.stop();
});

await t.test('what does not end when asked to is killed, and that is said', async (t) => {
  const { supervised, said } = watched(`process.on('SIGTERM', () => {}); ${FOREVER}`);
  await supervised.ready;
  await supervised.stop();
  t.strictSame(said, ['sleeper did not stop at SIGTERM: SIGKILL ended it']);
  t.notOk(livingProcess(supervised.pid!));
});

await t.test('a stop ends the wait for the next start', async (t) => {
  const { supervised, said, pids } = watched(FOREVER);
  await supervised.ready;
  process.kill(supervised.pid!, 'SIGKILL');
  await until('it waits', () => said.length === 1);
  await supervised.stop();
  t.equal(pids.length, 1, 'nothing was started');
});

await t.test('a stop in the middle of a start leaves nothing running', async (t) => {
  const { supervised } = watched(FOREVER);
  await supervised.stop();
  await t.rejects(supervised.ready);
  t.notOk(livingProcess(supervised.pid!));
});

await t.test('a stop at once overtakes a stop that waits', async (t) => {
  const stopSteps = [{ signal: 'SIGTERM', waitMs: 60_000 }] as const;
  const { supervised } = watched(`process.on('SIGTERM', () => {}); ${FOREVER}`, {
    stopSteps: [...stopSteps],
  });
  await supervised.ready;
  const slow = supervised.stop();
  await Promise.all([supervised.stopAtOnce(), slow]);
  t.notOk(livingProcess(supervised.pid!));
});

await t.test('a frozen process is thawed to end in order', async (t) => {
  const { supervised, said } = watched(FOREVER);
  await supervised.ready;
  process.kill(supervised.pid!, 'SIGSTOP');
  await supervised.stop();
  t.strictSame(said, []);
});

await t.test('a restart replaces the process without a word of dying', async (t) => {
  const { supervised, said } = watched(FOREVER);
  await supervised.ready;
  const { pid } = supervised;
  await supervised.restart();
  t.not(supervised.pid, pid);
  t.strictSame(said, [`sleeper is back (pid ${supervised.pid})`]);
  await supervised.stop();
});
