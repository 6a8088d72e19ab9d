import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { spawnDetached, stopProcess } from '../../../mesh/servers/detached-process.ts';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { runProgram } from '../../../mesh/servers/run-program.ts';
import { untilReady } from '../../../mesh/servers/until-ready.ts';
import type { Scope } from './scope.ts';

export interface Redis {
  pid: number;
  port: number;
  read: (keys: string[]) => Promise<Map<string, string>>;
}

/** What redis-server says of its version; undefined where there is none. */
export function findRedis(): Promise<string | undefined> {
  return runProgram('redis-server', ['--version'], { timeoutMs: 5_000 }).then(
    (text) => text,
    () => undefined,
  );
}

/** A redis-server with an append-only file that is synced every second, Redis' own advice. */
export async function startRedis(scope: Scope, folder: string): Promise<Redis> {
  const port = await findFreePort();
  const data = join(folder, 'redis');
  mkdirSync(data);
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir: data,
    save: '',
    appendonly: 'yes',
    appendfsync: 'everysec',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = await spawnDetached('redis-server', args, { stdio: 'ignore' });
  scope.defer(() => stopProcess(server, [{ signal: 'SIGTERM', waitMs: 10_000 }]));
  await untilReady(server, async () => (await ask(port, 'PING\r\n', 1))[0] === '+PONG', {
    name: 'redis-server',
    deadlineMs: 20_000,
    readLog: () => '',
  });
  return {
    pid: server.pid,
    port,
    read: async (keys) => {
      // Unlike GET's, this answer is a single line whether there is such a key or not.
      const commands = keys.map((key) => `INCRBY ${key} 0\r\n`).join('');
      const answers = await ask(port, commands, keys.length);
      return new Map(keys.map((key, index) => [key, (answers[index] ?? '').slice(1)]));
    },
  };
}

/** Sends inline commands and reads as many lines. */
async function ask(port: number, commands: string, lines: number): Promise<string[]> {
  const socket = createConnection({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  socket.setEncoding('latin1').write(commands);
  let text = '';
  for await (const chunk of socket) {
    text += chunk as string;
    if (text.split('\r\n').length > lines) break;
  }
  return text.split('\r\n');
}
