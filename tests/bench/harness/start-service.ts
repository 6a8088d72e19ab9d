import { findFreePort } from '../../../mesh/servers/ports.ts';
import { NODE_FLAGS } from '../../../mesh/local/services.ts';
import { startProgram, type Program } from './program.ts';
import type { Scope } from './scope.ts';
import type { Broker, Postgres } from './servers.ts';

export interface ServiceOptions {
  name?: string;
  broker: Broker;
  postgres: Postgres;
  environment?: NodeJS.ProcessEnv;
  profileFolder?: string | undefined;
}

export interface RunningService extends Program {
  metricsUrl: string;
}

/** A gateway or counter, started as in operation. */
export async function startService(
  scope: Scope,
  kind: 'gateway' | 'counter',
  { name = kind, broker, postgres, environment, profileFolder }: ServiceOptions,
): Promise<RunningService> {
  const metricsPort = await findFreePort();
  const program = await startProgram(scope, {
    name,
    file: `${kind}/main.ts`,
    environment: {
      NATS_URL: broker.urls[kind],
      NATS_SYNC: 'always',
      DATABASE_URL: postgres.urls[kind],
      OTEL_EXPORTER_PROMETHEUS_PORT: String(metricsPort),
      ...environment,
    },
    nodeFlags: NODE_FLAGS[kind],
    readyLine: `the ${kind} is ready`,
    profileFolder,
  });
  return { ...program, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics` };
}
