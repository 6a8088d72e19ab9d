import { dirname, join } from 'node:path';
import type { NatsRole } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { describeBehind } from '../../nats/replicas.ts';
import { moveStreams } from '../files/move-streams.ts';
import { findNatsServer } from '../servers/find-nats-server.ts';
import {
  launchNats,
  NATS_CONFIGURATIONS,
  natsUrls,
  untilNatsAnswers,
  urlsByRole,
  type NatsOptions,
} from '../servers/nats.ts';
import { StartError } from '../servers/start-error.ts';
import { meshNatsAccess, natsUrlsAt } from './config.ts';
import type { DataFolder } from './data-folder.ts';
import { provisionExisting, type ServerContext, type ServerGroup } from './server-group.ts';
import { STOP_STEPS } from './stop-steps.ts';
import type { Program } from './supervisor.ts';

/** The ports that they need, by name. */
export function natsPortNames(nodes: number): string[] {
  if (nodes === 1) return ['nats'];
  return clusterNames(nodes).flatMap((name) => [name, `${name}-route`, `${name}-monitor`]);
}

/** One nats-server that runs alone, three as a cluster, or those at NATS_URL. */
export async function natsServers(
  context: ServerContext,
  ports: Record<string, number>,
): Promise<ServerGroup<Record<NatsRole, string>>> {
  const { settings, say } = context;
  const { NATS_URL: existing, NATS_NODES: nodes, REPLICAS } = settings;
  const replicas = REPLICAS ?? (existing === undefined ? nodes : undefined);
  const provisionAt = (url: string) =>
    provision({
      url,
      ...meshNatsAccess(settings),
      ...(replicas !== undefined && { replicas }),
      flushIntervalMs: settings.FLUSH_INTERVAL_MS,
      streamBytesMax: settings.STREAM_BYTES_MAX,
      onWait: (replicas) => say(`waiting for replicas: ${describeBehind(replicas)}`),
    });
  if (existing !== undefined) {
    return {
      urls: natsUrlsAt(existing, settings),
      programs: [],
      provision: () => provisionExisting('NATS_URL', () => provisionAt(existing)),
    };
  }

  const { dataFolder, signal } = context;
  const binary = await findNatsServer({ signal, say });
  const servers = natsOptions(dataFolder, nodes, ports);
  for (const { folder } of servers) {
    const { isMoved, obstacle } = moveStreams(folder, nodes > 1);
    if (obstacle !== undefined) throw new StartError(obstacle);
    if (isMoved) say(`moved the streams in ${folder} to the account that they have now`);
  }
  const urls = clusterUrls(servers);
  return {
    urls,
    programs: servers.map((options) => natsProgram({ ...options, binary }, context)),
    provision: () => provisionAt(urls.provisioner),
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
    const ownLogFile = join(dataFolder.nats, 'nats-server.log');
    return [{ folder: dataFolder.nats, logFile, ownLogFile, port: ports['nats']!, passwords }];
  }
  const names = clusterNames(nodes);
  const routePorts = names.map((name) => ports[`${name}-route`]!);
  return names.map((name, index) => ({
    folder: join(path, name),
    logFile: join(logs, `${name}.log`),
    ownLogFile: join(path, name, `${name}.log`),
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

function natsProgram(options: NatsOptions & { binary: string }, { runAs }: ServerContext): Program {
  const needs = { paths: [options.binary, ...NATS_CONFIGURATIONS, dirname(options.folder)] };
  return {
    name: options.cluster?.serverName ?? 'nats-server',
    launch: async (beforeRun) => {
      const account = (await runAs('nats', needs))?.account;
      return launchNats({ ...options, account }, beforeRun);
    },
    ready: (server) => untilNatsAnswers(server, options),
    stopSteps: STOP_STEPS.nats,
    // What it acknowledged is on disk.
    endAtOnce: 'SIGKILL',
  };
}

function clusterNames(nodes: number): string[] {
  return Array.from({ length: nodes }, (_, index) => `nats-${index + 1}`);
}

/** Of all servers, so that a client of one that dies moves to the next. */
function clusterUrls(servers: NatsOptions[]): Record<NatsRole, string> {
  const urls = servers.map(natsUrls);
  return urlsByRole((role) => urls.map((each) => each[role]).join(','));
}
