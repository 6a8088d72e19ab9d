import type { Test } from 'tap';
import { spawnDetached, stopProcess } from '../../mesh/servers/detached-process.ts';
import { natsStopSteps } from '../../mesh/servers/nats.ts';
import { findNatsServer } from '../../mesh/servers/find-nats-server.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { endWithUs } from '../support/end-with-us.ts';

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
