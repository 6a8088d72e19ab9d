import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { performance } from 'node:perf_hooks';

const ECHO = `
  const server = require('node:net').createServer({ noDelay: true }, (socket) => {
    socket.pipe(socket).on('close', () => process.exit());
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));`;
const WARM_UP = 500;

/**
 * How long a byte takes to another process and back over loopback TCP, in microseconds, one after the
 * other. Each process wakes the other, which sleeps, as gateway and broker do. On virtual machines
 * this may be several times what it is on others.
 */
export async function measureWakeUp(count = 2_000): Promise<number[]> {
  const child = spawn(process.execPath, ['-e', ECHO], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [port] = (await once(child.stdout, 'data')) as [Buffer];
    const socket = createConnection({ host: '127.0.0.1', port: Number(port), noDelay: true });
    await once(socket, 'connect');
    const durations: number[] = [];
    for (let index = 0; index < WARM_UP + count; index++) {
      const startedAt = performance.now();
      socket.write('x');
      await once(socket, 'data');
      durations.push((performance.now() - startedAt) * 1000);
    }
    socket.destroy();
    return durations.slice(WARM_UP);
  } finally {
    child.kill();
  }
}
