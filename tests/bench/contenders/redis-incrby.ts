import { createConnection } from 'node:net';
import { once } from 'node:events';
import { serve } from './front.ts';

/**
 * INCRBY for each request over one connection, commands pipelined as they come. With `appendfsync
 * everysec` a power failure loses up to two seconds of what was answered.
 */
const socket = createConnection({ host: '127.0.0.1', port: Number(process.env['REDIS_PORT']) });
await once(socket, 'connect');
socket.setNoDelay(true).setEncoding('latin1');

/** Answers come in the order of the commands. */
const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
let unread = '';
socket.on('data', (chunk: string) => {
  const lines = (unread + chunk).split('\r\n');
  unread = lines.pop() ?? '';
  for (const line of lines) {
    const command = waiting.shift();
    if (line.startsWith(':')) command?.resolve();
    else command?.reject(new Error(line));
  }
});

const id = '019a0000-0000-7000-8000-000000000000';
let sequence = 0;

await serve(async ({ key, value }) => {
  const amount = String(value);
  await new Promise<void>((resolve, reject) => {
    waiting.push({ resolve, reject });
    socket.write(
      `*3\r\n$6\r\nINCRBY\r\n$${key.length}\r\n${key}\r\n$${amount.length}\r\n${amount}\r\n`,
    );
  });
  return { accepted: 1, id, sequence: ++sequence };
});
