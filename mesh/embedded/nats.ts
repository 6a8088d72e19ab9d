import { closeSync, mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  spawnDetached,
  stopProcess,
  type DetachedProcess,
  type StopStep,
} from './detached-process.ts';
import { openLogFile, readLogTail } from './log-file.ts';
import { findNatsServer } from './nats-server-binary.ts';
import { untilReady } from './until-ready.ts';

export type NatsRole = 'gateway' | 'counter' | 'inspector' | 'provisioner';

export interface NatsOptions {
  /** The store. */
  folder: string;
  /** `<folder>.log` where it is not given. */
  logFile?: string;
  port: number;
  passwords: Record<NatsRole, string>;
  /** Found or fetched where it is not given. */
  binary?: string;
}

export interface NatsServer extends DetachedProcess {
  readonly urls: Record<NatsRole, string>;
  stop(): Promise<void>;
}

export const natsStopSteps: StopStep[] = [
  { signal: 'SIGTERM', waitMs: 15_000 },
  { signal: 'SIGKILL', waitMs: 5000 },
];

/**
 * Starts a real nats-server with JetStream on 127.0.0.1 and waits until it serves clients.
 *
 * @throws StartError with the end of its log.
 */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  const server = await launchNats(options);
  try {
    await untilNatsAnswers(server, options);
  } catch (error) {
    server.kill('SIGKILL');
    throw error;
  }
  return {
    ...server,
    urls: natsUrls(options),
    stop: async () => void (await stopProcess(server, natsStopSteps)),
  };
}

export async function launchNats(options: NatsOptions): Promise<DetachedProcess> {
  const binary = options.binary ?? (await findNatsServer());
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const log = openLogFile(logFile(options));
  const config = fileURLToPath(new URL('../../nats/server.conf', import.meta.url));
  try {
    // The pid file is there for its name: by it a later mesh recognises an orphan on this store. The
    // store itself can't be named on the command line, since the configuration names it.
    return await spawnDetached(binary, ['-c', config, '-P', `${options.folder}.pid`], {
      stdio: ['ignore', log, log],
      env: {
        ...process.env,
        NATS_SERVER_NAME: serverName(options.port),
        NATS_LISTEN: `127.0.0.1:${options.port}`,
        NATS_STORE_DIR: options.folder,
        GATEWAY_NATS_PASSWORD: options.passwords.gateway,
        COUNTER_NATS_PASSWORD: options.passwords.counter,
        INSPECTOR_NATS_PASSWORD: options.passwords.inspector,
        PROVISIONER_NATS_PASSWORD: options.passwords.provisioner,
      },
    });
  } finally {
    closeSync(log);
  }
}

/** Clients are served only after JetStream has read its store back, which takes its time. */
export function untilNatsAnswers(server: DetachedProcess, options: NatsOptions): Promise<void> {
  return untilReady(server, () => saysInfo(options.port), {
    name: 'nats-server',
    deadlineMs: 60_000,
    readLog: () => readLogTail(logFile(options)),
  });
}

export function natsUrls({ port, passwords }: NatsOptions): Record<NatsRole, string> {
  const url = (role: NatsRole) => `nats://${role}:${passwords[role]}@127.0.0.1:${port}`;
  return {
    gateway: url('gateway'),
    counter: url('counter'),
    inspector: url('inspector'),
    provisioner: url('provisioner'),
  };
}

/** The greeting names the server, so a stranger that took the port is not mistaken for ours. */
function saysInfo(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: 1000 });
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error('it accepts but does not greet')));
    socket.once('data', (greeting) => {
      socket.destroy();
      const isOurs = greeting.includes(`"server_name":"${serverName(port)}"`);
      if (isOurs) resolve(true);
      else reject(new Error(`another program listens on port ${port}`));
    });
  });
}

function logFile(options: NatsOptions): string {
  return options.logFile ?? `${options.folder}.log`;
}

function serverName(port: number): string {
  return `increment-mesh-${port}`;
}
