import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { spawnDetached, stopProcess } from '../../mesh/servers/detached-process.ts';
import { natsStopSteps } from '../../mesh/servers/nats.ts';
import { findNatsServer } from '../../mesh/servers/find-nats-server.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { until } from '../support/until.ts';

/**
 * A nats-server without roles, so that anyone may answer, and without a stream.
 *
 * @param configFile more of its settings.
 * @returns its URL
 */
export async function startBareServer(t: Test, configFile?: string): Promise<string> {
  const port = await findFreePort();
  const binary = await findNatsServer();
  const args = ['-a', '127.0.0.1', '-p', String(port)];
  if (configFile !== undefined) args.push('-c', configFile);
  const server = endWithUs(await spawnDetached(binary, args, { stdio: 'ignore' }));
  t.teardown(() => stopProcess(server, natsStopSteps));
  return `nats://127.0.0.1:${port}`;
}

/**
 * One with JetStream in the folder, which listens.
 *
 * @param config of its users.
 * @returns its URL
 */
export async function startServer(
  t: Test,
  folder: string,
  config: string,
  jetStream = '',
): Promise<string> {
  const path = join(folder, 'nats.conf');
  writeFileSync(
    path,
    `${config}
max_payload: 2MB
jetstream { store_dir: "${join(folder, 'store')}", sync_interval: always, ${jetStream} }`,
  );
  const url = await startBareServer(t, path);
  const { hostname, port } = new URL(url);
  const isListening = () =>
    new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: hostname, port: Number(port) });
      socket.once('data', () => resolve(true)).once('error', () => resolve(false));
      socket.once('data', () => socket.destroy());
    });
  await until('it listens', isListening);
  return url;
}
