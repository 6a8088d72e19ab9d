import { join } from 'node:path';
import type { NatsRole } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { describeBehind } from '../../nats/replicas.ts';
import { meshNatsTls } from './config.ts';
import type { DataFolder } from './data-folder.ts';
import { launchNats, natsUrls, untilNatsAnswers, type NatsOptions } from '../servers/nats.ts';
import { findNatsServer } from '../servers/find-nats-server.ts';
import { explained, type ServerContext, type ServerGroup } from './server-group.ts';
import { STOP_STEPS } from './stop-steps.ts';
import type { Program } from './supervisor.ts';

/** Who serves NATS on a data folder: one server that runs alone, or three of a cluster. */
export type NatsNodes = 1 | 3;

/** The ports that they need, by name. */
export function natsPortNames(nodes: number): string[] {
  if (nodes === 1) return ['nats'];
  return clusterNames(nodes).flatMap((name) => [name, `${name}-route`, `${name}-monitor`]);
}

export async function natsServers(
  context: ServerContext,
  ports: Record<string, number>,
): Promise<ServerGroup<Record<NatsRole, string>>> {
  const { settings, say } = context;
  const { NATS_URL: external, NATS_NODES: nodes, REPLICAS } = settings;
  const replicas = REPLICAS ?? (external === undefined ? nodes : undefined);
  const prepare = (url: string) =>
    provision({
      url,
      ...meshNatsTls(settings),
      ...(replicas !== undefined && { replicas }),
      flushIntervalMs: settings.FLUSH_INTERVAL_MS,
      onWait: (replicas) => say(`waiting for replicas: ${describeBehind(replicas)}`),
    });
  if (external !== undefined) {
    return {
      urls: sameForAll(external),
      programs: [],
      prepare: () => explained('NATS_URL', () => prepare(external)),
    };
  }

  const { dataFolder, signal } = context;
  const binary = await findNatsServer({ signal, say });
  const servers = natsOptions(dataFolder, nodes, ports);
  const urls = allUrls(servers);
  return {
    urls,
    programs: servers.map((options) => natsProgram({ ...options, binary })),
    prepare: () => prepare(urls.provisioner),
  };
}

function natsOptions(
  dataFolder: DataFolder,
  nodes: number,
  ports: Record<string, number>,
): NatsOptions[] {
  const { logs, path, secrets } = dataFolder;
  const passwords = secrets.nats;
  if (nodes === 1) {
    const logFile = join(logs, 'nats-server.log');
    return [{ folder: dataFolder.nats, logFile, port: ports['nats']!, passwords }];
  }
  const names = clusterNames(nodes);
  const routePorts = names.map((name) => ports[`${name}-route`]!);
  return names.map((name, index) => ({
    folder: join(path, name),
    logFile: join(logs, `${name}.log`),
    port: ports[name]!,
    passwords,
    cluster: {
      serverName: name,
      routePort: routePorts[index]!,
      monitorPort: ports[`${name}-monitor`]!,
      routePorts,
      password: secrets.nats.cluster,
    },
  }));
}

function natsProgram(options: NatsOptions): Program {
  return {
    name: options.cluster?.serverName ?? 'nats-server',
    launch: (beforeRun) => launchNats(options, beforeRun),
    ready: (server) => untilNatsAnswers(server, options),
    stopSteps: STOP_STEPS.nats,
    // Whatever it acknowledged is on the disk.
    endAtOnce: 'SIGKILL',
  };
}

function clusterNames(nodes: number): string[] {
  return Array.from({ length: nodes }, (_, index) => `nats-${index + 1}`);
}

/** With all servers, so that a client of one that dies moves to the next. */
function allUrls(servers: NatsOptions[]): Record<NatsRole, string> {
  const all = servers.map(natsUrls);
  const url = (role: NatsRole) => all.map((urls) => urls[role]).join(',');
  return {
    gateway: url('gateway'),
    counter: url('counter'),
    inspector: url('inspector'),
    provisioner: url('provisioner'),
  };
}

/** An existing server has whatever users its owner made; we are given one. */
function sameForAll(url: string): Record<NatsRole, string> {
  return { gateway: url, counter: url, inspector: url, provisioner: url };
}
