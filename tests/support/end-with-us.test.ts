import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import t from 'tap';
import { inheritedEnvironment } from './inherited-environment.ts';
import { livingProcess } from './living-process.ts';
import { until } from './until.ts';

const SCRIPT = `
import { startServers } from '${import.meta.resolve('./servers.ts')}';
import { startCounter, startGateway } from '${import.meta.resolve('./services.ts')}';
const test = { teardown() {} };
const servers = await startServers(test, { ownPostgres: true });
const started = [servers.nats, servers.postgres];
started.push(await startGateway(test, servers), await startCounter(test, servers));
servers.nats.kill('SIGSTOP');
console.log(JSON.stringify({ folder: servers.folder, pids: started.map(({ pid }) => pid) }));
`;

void t.test('what a test has started is gone soon after a test that is killed', async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    env: inheritedEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { folder, pids } = JSON.parse(line) as { folder: string; pids: number[] };
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  t.equal(pids.filter(livingProcess).length, 4, 'servers and services run');
  child.kill('SIGKILL');
  await until(
    'an end of all',
    () => pids.filter(livingProcess),
    ({ length }) => length === 0,
  );
});
