import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  spawnDetached,
  stopProcess,
  type DetachedProcess,
} from '../../mesh/servers/detached-process.ts';
import { natsStopSteps } from '../../mesh/servers/nats.ts';
import type { NatsRole } from '../../nats/connect.ts';
import { findNatsServer } from '../../mesh/servers/find-nats-server.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import type { Certificates } from '../support/certificates.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { until } from '../support/until.ts';

const CONFIG = fileURLToPath(new URL('../../nats/cluster.conf', import.meta.url));
const TLS_CONFIG = fileURLToPath(new URL('../../nats/cluster-tls.conf', import.meta.url));
const NAMES = ['nats-1', 'nats-2', 'nats-3'] as const;
const START_MS_MAX = 30_000;

interface Ports {
  client: number;
  route: number;
  monitor: number;
}

export interface Cluster {
  /** As they were started. */
  processes: { name: string; pid: number }[];
  /** With all three servers, as the services have it. */
  url: (role: NatsRole) => string;
  start: (name: string) => Promise<void>;
  kill: (name: string) => Promise<void>;
  /** A server with another route password, and how many routes it gets. */
  startStranger: () => Promise<{ routes: () => Promise<number> }>;
  logFile: (name: string) => string;
  /** How many bytes the servers have sent each other: of all messages, without their protocol lines. */
  readRouteBytes: () => Promise<number>;
  stop: () => Promise<void>;
}

/** Three real nats-servers with nats/cluster.conf on free ports of 127.0.0.1. */
export async function startCluster(folder: string, tls?: Certificates): Promise<Cluster> {
  const binary = await findNatsServer();
  const running = new Map<string, DetachedProcess>();
  const ports = new Map<string, Ports>();
  for (const name of NAMES) ports.set(name, await findPorts(ports));
  const routes = [...ports.values()].map(
    ({ route }) => `"nats://cluster:routes@127.0.0.1:${route}"`,
  );

  async function launch(name: string, { client, route, monitor }: Ports, password: string) {
    const log = openSync(logFile(name), 'a');
    const server = await spawnDetached(binary, ['-c', tls === undefined ? CONFIG : TLS_CONFIG], {
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env['PATH'],
        NATS_SERVER_NAME: name,
        NATS_LISTEN: `127.0.0.1:${client}`,
        NATS_STORE_DIR: join(folder, name),
        NATS_MONITOR_LISTEN: `127.0.0.1:${monitor}`,
        NATS_CLUSTER_LISTEN: `127.0.0.1:${route}`,
        NATS_ROUTES: `[${routes.join(', ').replaceAll(':routes@', `:${password}@`)}]`,
        CLUSTER_NATS_PASSWORD: password,
        GATEWAY_NATS_PASSWORD: 'gateway',
        COUNTER_NATS_PASSWORD: 'counter',
        INSPECTOR_NATS_PASSWORD: 'inspector',
        PROVISIONER_NATS_PASSWORD: 'provisioner',
        OPERATOR_NATS_PASSWORD: 'operator',
        NATS_TLS_CERT_FILE: tls?.certFile,
        NATS_TLS_KEY_FILE: tls?.keyFile,
        NATS_TLS_CA_FILE: tls?.caFile,
      },
    });
    closeSync(log);
    running.set(name, endWithUs(server));
  }

  /** The same question as the health check in compose.yaml. */
  async function isHealthy(name: string): Promise<boolean> {
    const url = `http://127.0.0.1:${ports.get(name)?.monitor}/healthz`;
    return fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  const untilHealthy = (name: string) =>
    until(`${name} is healthy`, () => isHealthy(name), Boolean, START_MS_MAX);

  function logFile(name: string): string {
    return join(folder, `${name}.log`);
  }

  for (const [name, found] of ports) await launch(name, found, 'routes');
  await Promise.all(NAMES.map(untilHealthy));

  return {
    processes: Array.from(running, ([name, { pid }]) => ({ name, pid })),
    url: (role) =>
      [...ports.values()]
        .map(
          ({ client }) =>
            `${tls === undefined ? 'nats' : 'tls'}://${role}:${role}@127.0.0.1:${client}`,
        )
        .join(','),
    start: async (name) => {
      await launch(name, ports.get(name)!, 'routes');
      await untilHealthy(name);
    },
    kill: async (name) => {
      running.get(name)?.kill('SIGKILL');
      await running.get(name)?.exited;
    },
    startStranger: async () => {
      const found = await findPorts(ports);
      await launch('stranger', found, 'guessed');
      const routes = async () => {
        const answer = await fetch(`http://127.0.0.1:${found.monitor}/routez`);
        return ((await answer.json()) as { num_routes: number }).num_routes;
      };
      return { routes };
    },
    logFile,
    readRouteBytes: async () => {
      const sent = await Promise.all(
        NAMES.map(async (name) => {
          const answer = await fetch(`http://127.0.0.1:${ports.get(name)?.monitor}/routez`);
          const { routes } = (await answer.json()) as { routes: { out_bytes: number }[] };
          return routes.reduce((sum, { out_bytes }) => sum + out_bytes, 0);
        }),
      );
      return sent.reduce((sum, bytes) => sum + bytes, 0);
    },
    stop: async () => {
      await Promise.all([...running.values()].map((server) => stopProcess(server, natsStopSteps)));
    },
  };
}

async function findPorts(taken: Map<string, Ports>): Promise<Ports> {
  const found = [...taken.values()].flatMap((ports) => Object.values(ports) as number[]);
  const next = async () => {
    const port = await findFreePort(found);
    found.push(port);
    return port;
  };
  return { client: await next(), route: await next(), monitor: await next() };
}
