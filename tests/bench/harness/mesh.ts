import { findFreePort } from '../../../mesh/servers/ports.ts';
import { checkMesh } from './check-mesh.ts';
import type { Contender, MeasuredProcess, Running, StartOptions } from './contender.ts';
import type { LoadShape } from './load.ts';
import type { Scope } from './scope.ts';
import {
  countMessages,
  readDatabaseDisk,
  startBroker,
  startDatabase,
  type Broker,
  type Postgres,
} from './servers.ts';
import { startService } from './start-service.ts';

export interface MeshOptions {
  gateways: number;
  counters: number;
  gatewayEnvironment?: NodeJS.ProcessEnv;
  counterEnvironment?: NodeJS.ProcessEnv;
  /** A broker of another kind. */
  startBroker?: typeof startBroker;
}

/** The mesh as a contender: real servers, gateways and counters, each in its own process. */
export function meshContender(
  name: string,
  about: string,
  options: MeshOptions & { load?: Partial<LoadShape> },
): Contender {
  return {
    name,
    about,
    ...(options.load && { load: options.load }),
    start: (scope, start) => startMesh(scope, start, options),
  };
}

export interface RunningMesh extends Running {
  broker: Broker;
  postgres: Postgres;
  /** Addresses of the metrics; none where metrics are off. */
  metrics: { gateways: string[]; counters: string[] };
}

export async function startMesh(
  scope: Scope,
  { folder, profileFolder }: StartOptions,
  options: MeshOptions,
): Promise<RunningMesh> {
  const [broker, postgres] = await Promise.all([
    (options.startBroker ?? startBroker)(scope, folder),
    startDatabase(scope, folder),
  ]);
  const port = await findFreePort();
  const metrics: RunningMesh['metrics'] = { gateways: [], counters: [] };
  const programs: MeasuredProcess[] = [];

  const start = async (kind: 'gateway' | 'counter', number: number, variables: object) => {
    const environment: NodeJS.ProcessEnv = { ...variables };
    const name = number === 0 ? kind : `${kind}-${number}`;
    const options = { name, broker, postgres, environment, profileFolder };
    const service = await startService(scope, kind, options);
    if (environment['OTEL_METRICS_EXPORTER'] !== 'none')
      metrics[`${kind}s`].push(service.metricsUrl);
    programs.push({ ...service, servesHttp: kind === 'gateway' });
  };
  for (let number = 0; number < options.counters; number++) {
    await start('counter', number, options.counterEnvironment ?? {});
  }
  for (let number = 0; number < options.gateways; number++) {
    await start('gateway', number, {
      PORT: String(port),
      REUSE_PORT: options.gateways > 1 ? '1' : '0',
      // The limit counts every request and refuses none.
      RATE_LIMIT_MAX: '1000000000',
      ...options.gatewayEnvironment,
    });
  }

  return {
    url: `http://127.0.0.1:${port}`,
    processes: [
      ...programs.toReversed(),
      ...broker.processes,
      { name: 'postgres', pid: postgres.pid, isFamily: true },
    ],
    broker,
    postgres,
    metrics,
    check: (sent) => checkMesh(sent, postgres.database, metrics),
    readDisk: async () => ({
      'nats-server': { syncs: await countMessages(broker) },
      postgres: await readDatabaseDisk(postgres.database),
    }),
  };
}
