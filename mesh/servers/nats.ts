import { closeSync, mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { fileURLToPath } from 'node:url';
import { NATS_ROLES, type NatsRole } from '../../nats/connect.ts';
import {
  spawnDetached,
  stopProcess,
  type BeforeRun,
  type DetachedProcess,
  type StopStep,
} from './detached-process.ts';
import { findNatsServer } from './find-nats-server.ts';
import { giveFolder } from './give-folder.ts';
import { openLogFile, readLogTails } from './log-file.ts';
import type { Account } from './postgres-account.ts';
import { untilReady } from './until-ready.ts';

export interface NatsOptions {
  /** Of the store. */
  folder: string;
  /** Default: `<folder>.log`. */
  logFile?: string;
  /** Where it writes its log, and bounds it as nats/server.conf says; then `logFile` has what it says else. */
  ownLogFile?: string;
  port: number;
  passwords: Record<NatsRole, string>;
  /** Default: one that is found or fetched. */
  binary?: string;
  /** Who runs it, and gets its store; else we. */
  account?: Account | undefined;
  /** Without it, the server runs alone. */
  cluster?: ClusterMember;
  /** More of its flags. */
  flags?: string[];
}

/** What a server in a cluster needs beyond one that runs alone. */
export interface ClusterMember {
  /** Stays the same for as long as its store is used. */
  serverName: string;
  routePort: number;
  monitorPort: number;
  /** Of all servers in the cluster, including this one. */
  routePorts: number[];
  /** By which the servers of the cluster trust each other. */
  password: string;
}

export interface NatsServer extends DetachedProcess {
  readonly urls: Record<NatsRole, string>;
  stop(): Promise<void>;
}

export const natsStopSteps: StopStep[] = [
  { signal: 'SIGTERM', waitMs: 15_000 },
  { signal: 'SIGKILL', waitMs: 5000 },
];

/** What it reads: the last is part of the others. */
export const NATS_CONFIGURATIONS = ['server.conf', 'cluster.conf', 'roles.conf'].map(configuration);

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

export async function launchNats(
  options: NatsOptions,
  beforeRun?: BeforeRun,
): Promise<DetachedProcess> {
  const binary = options.binary ?? (await findOnce());
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  if (options.account !== undefined) giveFolder(options.folder, options.account);
  const log = openLogFile(logFile(options));
  const config = options.cluster === undefined ? 'server.conf' : 'cluster.conf';
  const { ownLogFile } = options;
  const flags = [
    '-c',
    configuration(config),
    ...(ownLogFile === undefined ? [] : ['-l', ownLogFile]),
    ...(options.flags ?? []),
  ];
  try {
    return await spawnDetached(binary, flags, {
      ...options.account,
      beforeRun,
      stdio: ['ignore', log, log],
      env: {
        ...ofGo(process.env),
        NATS_SERVER_NAME: serverName(options),
        NATS_LISTEN: `127.0.0.1:${options.port}`,
        NATS_STORE_DIR: quoteForNats(options.folder),
        ...passwordVariables(options.passwords),
        ...clusterVariables(options.cluster),
      },
    });
  } finally {
    closeSync(log);
  }
}

let found: Promise<string> | undefined;

/** To look whether it is what was fetched, and which version, takes a tenth of a second of a core. */
async function findOnce(): Promise<string> {
  try {
    return await (found ??= findNatsServer());
  } catch (error) {
    found = undefined;
    throw error;
  }
}

function configuration(file: string): string {
  return fileURLToPath(new URL(`../../nats/${file}`, import.meta.url));
}

/** nats-server reads a value from the environment as if it stood in its configuration. */
export function quoteForNats(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** Not the secrets of other programs, such as DATABASE_URL. */
function ofGo(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => /^(GO|PATH$|HOME$)/.test(name)),
  );
}

function clusterVariables(cluster: ClusterMember | undefined): NodeJS.ProcessEnv {
  if (cluster === undefined) return {};
  const routes = cluster.routePorts.map(
    (port) => `"nats://cluster:${cluster.password}@127.0.0.1:${port}"`,
  );
  return {
    NATS_MONITOR_LISTEN: `127.0.0.1:${cluster.monitorPort}`,
    NATS_CLUSTER_LISTEN: `127.0.0.1:${cluster.routePort}`,
    NATS_ROUTES: `[${routes.join(', ')}]`,
    CLUSTER_NATS_PASSWORD: cluster.password,
  };
}

/**
 * Resolves when the server serves clients: after JetStream has read its store, which can take a while;
 * in a cluster, after its replicas have caught up.
 */
export function untilNatsAnswers(server: DetachedProcess, options: NatsOptions): Promise<void> {
  const { cluster } = options;
  const isReady = async () =>
    (await greets(options)) && (cluster === undefined || (await isHealthy(cluster.monitorPort)));
  return untilReady(server, isReady, {
    name: cluster?.serverName ?? 'nats-server',
    deadlineMs: 60_000,
    readLog: () => readLogTails([logFile(options), options.ownLogFile]),
  });
}

export function natsUrls({
  port,
  passwords,
}: Pick<NatsOptions, 'port' | 'passwords'>): Record<NatsRole, string> {
  return urlsByRole((role) => `nats://${role}:${passwords[role]}@127.0.0.1:${port}`);
}

export function urlsByRole(url: (role: NatsRole) => string): Record<NatsRole, string> {
  const entries = NATS_ROLES.map((role) => [role, url(role)]);
  return Object.fromEntries(entries) as Record<NatsRole, string>;
}

/** As nats/roles.conf takes them. */
export function passwordVariables(passwords: Record<NatsRole, string>): Record<string, string> {
  return Object.fromEntries(
    NATS_ROLES.map((role) => [`${role.toUpperCase()}_NATS_PASSWORD`, passwords[role]]),
  );
}

/** The greeting has the server's name, so that another program on the port is not mistaken for it. */
function greets(options: NatsOptions): Promise<boolean> {
  const { port } = options;
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: 1000 });
    socket.once('error', reject);
    // A server that is stopping accepts connections and closes them.
    socket.once('close', () => reject(new Error('it closes the connection')));
    socket.once('timeout', () => socket.destroy(new Error('it accepts but does not greet')));
    socket.once('data', (greeting) => {
      socket.destroy();
      const isOurs = greeting.includes(`"server_name":"${serverName(options)}"`);
      if (isOurs) resolve(true);
      else reject(new Error(`another program listens on port ${port}`));
    });
  });
}

/** The health check of compose.yaml. */
async function isHealthy(monitorPort: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${monitorPort}/healthz`, {
    signal: AbortSignal.timeout(2000),
  });
  if (answer.ok) await answer.body?.cancel();
  else throw new Error((await answer.text()).trim());
  return true;
}

function logFile(options: NatsOptions): string {
  return options.logFile ?? `${options.folder}.log`;
}

function serverName({ port, cluster }: NatsOptions): string {
  return cluster?.serverName ?? `increment-mesh-${port}`;
}
