import { isIPv6 } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Value } from 'typebox/value';
import { NotReady } from '../../schema/http/health.ts';
import { databaseFiles } from '../../schema/database/database-url.ts';
import { isLoopback } from '../../schema/settings/loopback.ts';
import { spawnDetached } from '../servers/detached-process.ts';
import { untilReady } from '../servers/until-ready.ts';
import { NatsAccessSettings } from '../../nats/access-settings.ts';
import { fileOfRole } from '../../nats/secret-file.ts';
import { meshNatsAccess, type MeshSettings } from './config.ts';
import type { RunAs } from './run-as.ts';
import { keepLog } from './service-log.ts';
import { STOP_STEPS } from './stop-steps.ts';
import type { Program } from './supervisor.ts';
import { waitPatiently } from './wait-patiently.ts';

/** What a service connects to. */
export interface ServerUrls {
  nats: string;
  database: string;
}

/** Where a gateway listens. */
export interface GatewayListener {
  /** How a client on this machine reaches it. */
  url: string;
  host: string;
  port: number;
  /** Among all gateways. */
  sharesPort: boolean;
  /** Then a proxy on this machine says who the client is. */
  isBehindProxy: boolean;
}

export interface ServiceContext {
  settings: MeshSettings;
  /** Passed on whole, so that `npm start` takes every variable of a service. */
  environment: NodeJS.ProcessEnv;
  dataFolder: { logs: string };
  say: (line: string) => void;
  runAs: RunAs;
}

/**
 * Above the nine seconds that a cluster takes to notice that its leader has died: requests wait for the
 * next leader and are answered 200.
 */
const CLUSTER_PUBLISH_DEADLINE_MS = '12000';

/** A service that does not answer for so long can't start. */
const READY_MS_MAX = 60_000;

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

export function gatewayProgram(
  name: string,
  metricsPort: number,
  options: { urls: ServerUrls; listener: GatewayListener; context: ServiceContext },
): Program {
  const { settings, environment } = options.context;
  const { listener } = options;
  const defaults = {
    ...(isLoopback(settings.HOST) ? { RATE_LIMIT_MAX: '0' } : {}),
    ...(settings.NATS_NODES > 1 ? { PUBLISH_DEADLINE_MS: CLUSTER_PUBLISH_DEADLINE_MS } : {}),
  };
  return serviceProgram('gateway', name, {
    ...options,
    metricsPort,
    port: listener.port,
    variables: {
      ...withDefaults(defaults, environment),
      HOST: listener.host,
      PORT: String(listener.port),
      ...(listener.sharesPort ? { REUSE_PORT: '1' } : {}),
      ...(listener.isBehindProxy ? { TRUST_PROXY: '127.0.0.1' } : {}),
    },
    // Which gateway answers on a shared port is unknown; the metrics are those of this one.
    isReady: async () =>
      (await answers(metricsUrl(metricsPort, metricsHost(environment)))) &&
      answers(`${listener.url}/readyz`),
    // A broker or a database that is away, or another mesh's: that is told, and no reason to end it.
    readWait: () => readReason(`${listener.url}/readyz`),
  });
}

/** Defaults of this mesh, unless the user sets the variable. */
function withDefaults(
  defaults: Record<string, string>,
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const entries = Object.entries(defaults).map(([name, value]) => [
    name,
    environment[name] || value,
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}

export function counterProgram(
  name: string,
  metricsPort: number,
  options: { urls: ServerUrls; context: ServiceContext },
): Program {
  return serviceProgram('counter', name, {
    ...options,
    metricsPort,
    variables: {},
    readWait: () => Promise.resolve(undefined),
    isReady: () => answers(metricsUrl(metricsPort, metricsHost(options.context.environment))),
  });
}

export function metricsUrl(port: number, host = '127.0.0.1'): string {
  return `http://${host}:${port}/metrics`;
}

/** Where the user lets services serve their metrics, as a URL has it. */
export function metricsHost({
  OTEL_EXPORTER_PROMETHEUS_HOST: host = '',
}: NodeJS.ProcessEnv): string {
  if (['', '0.0.0.0', '::'].includes(host)) return '127.0.0.1';
  return isIPv6(host) ? `[${host}]` : host;
}

function serviceProgram(
  kind: 'gateway' | 'counter',
  name: string,
  options: {
    urls: ServerUrls;
    metricsPort: number;
    port?: number;
    variables: NodeJS.ProcessEnv;
    isReady: () => Promise<boolean>;
    /** What a service that works otherwise waits for; undefined if it does not say so. */
    readWait: () => Promise<string | undefined>;
    context: ServiceContext;
  },
): Program {
  const { urls, metricsPort, port, variables, isReady, readWait, context } = options;
  const { dataFolder, environment, runAs, say, settings } = context;
  const natsVariables = natsVariablesOf(kind, settings);
  const logFile = join(dataFolder.logs, `${name}.log`);
  return {
    name,
    stopSteps: STOP_STEPS[`${kind}s`],
    endAtOnce: 'SIGKILL',
    async launch(beforeRun) {
      const args = [...NODE_FLAGS[kind], `${kind}/main.ts`];
      const paths = filesOf(kind, {
        ...environment,
        ...natsVariables,
        DATABASE_URL: urls.database,
      });
      const user = await runAs(kind, { paths, port });
      const service = await spawnDetached(process.execPath, args, {
        ...user?.account,
        beforeRun,
        cwd: PROJECT,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...NODE_ENVIRONMENT,
          // What a service compiles must not be another's to write.
          ...(user && { NODE_COMPILE_CACHE: join(user.home, 'compile') }),
          ...environment,
          ...OTHERS_SECRETS,
          INSTANCE_NAME: name,
          NATS_URL: urls.nats,
          ...natsVariables,
          // Our own brokers sync, as nats/server.conf says.
          NATS_SYNC: settings.NATS_URL === undefined ? 'always' : settings.NATS_SYNC,
          DATABASE_URL: urls.database,
          ...telemetryVariables(environment),
          OTEL_EXPORTER_PROMETHEUS_PORT: String(metricsPort),
          ...variables,
        },
      });
      keepLog(service, logFile, { name, say });
      return service;
    },
    ready: (service) => {
      const until = waitPatiently({ name, isReady, readWait, say });
      return untilReady(service, until, {
        name,
        deadlineMs: READY_MS_MAX,
        // Its errors have been shown already.
        readLog: () => '',
      });
    },
  };
}

/**
 * Objects of a gateway are garbage within milliseconds. Collecting them every 8 MiB, not V8's 32, keeps a
 * gateway a third smaller at the same speed. Without pretenuring, V8 never puts such objects among the
 * old ones, where they keep whole requests until the next full collection: one gateway in three took a
 * quarter more time and 290 MiB under load.
 */
export const NODE_FLAGS = {
  gateway: ['--max-semi-space-size=8', '--no-allocation-site-pretenuring'],
  counter: [],
};

/**
 * Node keeps compiled code from one start to the next: a service starts a third faster and stays 25 MB
 * smaller, since it need not load what strips the types.
 */
export const NODE_ENVIRONMENT = { NODE_COMPILE_CACHE: join(PROJECT, '.cache/compile') };

/** Of the brokers at NATS_URL, with the files of this kind of service; of our own, nothing. */
export function natsVariablesOf(
  kind: 'gateway' | 'counter',
  settings: MeshSettings,
): NodeJS.ProcessEnv {
  const { tls, secretFile, inboxPrefix, domain } = meshNatsAccess(settings);
  const secret = (of: string) => (secretFile?.kind === of ? secretFile.path : undefined);
  const files = {
    NATS_CREDS_FILE: secret('creds'),
    NATS_NKEY_SEED_FILE: secret('nkey'),
    NATS_TOKEN_FILE: secret('token'),
    NATS_CA_FILE: tls?.caFile,
    NATS_CERT_FILE: tls?.certFile,
    NATS_KEY_FILE: tls?.keyFile,
  } satisfies Partial<Record<keyof typeof NatsAccessSettings, string | undefined>>;
  const ofRole = Object.entries(files).map(([name, path]) => [
    name,
    path && fileOfRole(path, kind),
  ]);
  return {
    ...Object.fromEntries(ofRole),
    NATS_INBOX_PREFIX: inboxPrefix,
    NATS_JETSTREAM_DOMAIN: domain,
  };
}

/** What the services need not know of each other and of the owner. */
const OTHERS_SECRETS = {
  GATEWAY_DATABASE_URL: undefined,
  COUNTER_DATABASE_URL: undefined,
  GATEWAY_NATS_URL: undefined,
  COUNTER_NATS_URL: undefined,
} satisfies Partial<Record<keyof MeshSettings, undefined>>;

/** What a service reads: a sample of the code, and each file that its variables name. */
function filesOf(kind: 'gateway' | 'counter', environment: NodeJS.ProcessEnv): string[] {
  const code = [`${kind}/main.ts`, 'schema/digest.ts', 'node_modules/pg/package.json'];
  const named = Object.entries(environment).flatMap(([name, value]) =>
    value && FILE_VARIABLES[kind].test(name) ? [value] : [],
  );
  return [
    process.execPath,
    ...[...code, ...named, ...databaseFiles(environment.DATABASE_URL ?? '')].map((path) =>
      resolve(PROJECT, path),
    ),
  ];
}

const FILE_VARIABLES = {
  gateway: /_(FILE|CERTIFICATE|CLIENT_KEY|CA_CERTS)$/,
  counter: /^(NATS|OTEL|NODE)_.*_(FILE|CERTIFICATE|CLIENT_KEY|CA_CERTS)$/,
};

/** The mesh reads the metrics of every service, also where the user has turned OpenTelemetry off. */
function telemetryVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (environment.OTEL_SDK_DISABLED !== 'true')
    return { OTEL_METRICS_EXPORTER: withPrometheus(environment.OTEL_METRICS_EXPORTER) };
  return {
    OTEL_SDK_DISABLED: 'false',
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_METRICS_EXPORTER: 'prometheus',
  };
}

/** In addition to the user's exporters. */
function withPrometheus(exporters: string | undefined): string {
  if (!exporters || exporters === 'none') return 'prometheus';
  return exporters.split(',').includes('prometheus') ? exporters : `prometheus,${exporters}`;
}

export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
  await response.body?.cancel();
  return response.ok;
}

/** Why a gateway is not ready; undefined if it does not tell. */
async function readReason(url: string): Promise<string | undefined> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
  const body: unknown = await response.json().catch(() => undefined);
  return Value.Check(NotReady, body) ? (body.reason ?? undefined) : undefined;
}
