import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { endWithUs } from './end-with-us.ts';
import { inheritedEnvironment } from './inherited-environment.ts';
import type { Servers } from './servers.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const READY_MS_MAX = 30_000;

/** A gateway or counter in a process of its own, as in operation. */
export interface Service {
  readonly pid: number;
  /** A gateway's address. */
  readonly url: string;
  readonly metrics: string;
  /** Log lines so far, as the service wrote them. */
  readonly log: LogLine[];
  /** What it has written to standard error. */
  errors: () => string;
  kill: (signal: NodeJS.Signals) => void;
  /** SIGTERM, then the exit code. */
  stop: () => Promise<number | null>;
  exited: Promise<number | null>;
}

export interface LogLine {
  level: number;
  msg: string;
  [field: string]: unknown;
}

export async function startGateway(
  t: Test,
  servers: { urls: { nats: Pick<Servers['urls']['nats'], 'gateway'>; gatewayDatabase: string } },
  environment: NodeJS.ProcessEnv = {},
  root = ROOT,
): Promise<Service> {
  const port = await findFreePort();
  return startService(
    t,
    'gateway',
    `http://127.0.0.1:${environment['PORT'] ?? port}`,
    {
      NATS_URL: servers.urls.nats.gateway,
      DATABASE_URL: servers.urls.gatewayDatabase,
      PORT: String(port),
      NATS_SYNC: 'always',
      RATE_LIMIT_MAX: '0',
      // A day, so that no test crosses the edge of a window unawares.
      RATE_LIMIT_WINDOW_MS: '86400000',
      ...environment,
    },
    root,
  );
}

export async function startCounter(
  t: Test,
  servers: { urls: { nats: Pick<Servers['urls']['nats'], 'counter'>; counterDatabase: string } },
  environment: NodeJS.ProcessEnv = {},
  root = ROOT,
): Promise<Service> {
  return startService(
    t,
    'counter',
    '',
    {
      NATS_URL: servers.urls.nats.counter,
      DATABASE_URL: servers.urls.counterDatabase,
      ...environment,
    },
    root,
  );
}

async function startService(
  t: Test,
  name: ServiceName,
  url: string,
  environment: NodeJS.ProcessEnv,
  root: string,
): Promise<Service> {
  const service = await launchService(t, name, environment, root);
  const { log } = service;
  const isReady = () => log.some(({ msg }) => msg === `the ${name} is ready`);
  const deadline = performance.now() + READY_MS_MAX;
  while (!isReady()) {
    if (service.hasEnded()) throw new Error(`the ${name} ended: ${service.errors()}`);
    if (performance.now() > deadline) {
      const said = `${JSON.stringify(log.slice(-5))} ${service.errors()}`;
      throw new Error(`the ${name} is not ready: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return { ...service, url };
}

export type ServiceName = 'gateway' | 'counter';

export interface LaunchedService extends Omit<Service, 'url'> {
  hasEnded: () => boolean;
}

/** A service that may never get ready, since something is wrong with what it is given. */
export async function launchService(
  t: Test,
  name: ServiceName,
  environment: NodeJS.ProcessEnv,
  root = ROOT,
): Promise<LaunchedService> {
  const metricsPort = await findFreePort();
  const child = spawn(process.execPath, [`${name}/main.ts`], {
    cwd: root,
    env: {
      ...inheritedEnvironment(),
      OTEL_EXPORTER_PROMETHEUS_PORT: String(metricsPort),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: LogLine[] = [];
  const errors: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => log.push(readLine(line)));
  child.stderr.on('data', (chunk) => errors.push(String(chunk)));
  // With all that it had to say, so not at its exit.
  const exited = once(child, 'close').then(([code]) => code as number | null);
  endWithUs({ pid: child.pid ?? 0, exited });
  t.teardown(() => end(child, exited));
  return {
    pid: child.pid ?? 0,
    metrics: `http://127.0.0.1:${metricsPort}/metrics`,
    log,
    errors: () => errors.join(''),
    hasEnded: () => child.exitCode !== null,
    kill: (signal) => void child.kill(signal),
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    exited,
  };
}

function readLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { level: 0, msg: line };
  }
}

/** A stopped process takes no SIGTERM, so it is continued first; in the end it is killed. */
async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGCONT');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await exited;
  clearTimeout(timer);
}
