import { claimStream } from '../../nats/provision.ts';
import { readDatabaseIdAt } from '../../schema/database/database-id.ts';
import { isPortFree, rememberPorts } from '../servers/ports.ts';
import { StartError } from '../servers/start-error.ts';
import { changeNodeCount } from './change-node-count.ts';
import { meshNatsAccess, type MeshSettings } from './config.ts';
import { openDataFolder, type DataFolder } from './data-folder.ts';
import { describeMesh } from './describe-mesh.ts';
import { gatewayListeners, meshUrl } from './gateway-listeners.ts';
import { removeMeshFile, writeMeshFile, type MeshFile } from './mesh-file.ts';
import { natsServers } from './nats-servers.ts';
import { endOrphans, endOrphansAfterExit, recordProcess } from './orphans.ts';
import { postgresServer } from './postgres-server.ts';
import { portNames, serviceNames, type ServiceNames } from './program-names.ts';
import { proxyProgram } from './proxy.ts';
import { createRunAs } from './run-as.ts';
import { restartDeadStream } from './restart-dead-stream.ts';
import type { ServerGroup } from './server-group.ts';
import {
  counterProgram,
  gatewayProgram,
  metricsHost,
  type GatewayListener,
  type ServiceContext,
} from './services.ts';
import { TIERS, type Tier } from './stop-steps.ts';
import { supervise, type Program, type Supervised } from './supervisor.ts';
import { unlessDiskFails } from './unless-disk-fails.ts';

export interface Mesh {
  /** Resolves when everything serves; rejects when something does not start, or at a stop. */
  start(): Promise<RunningMesh>;
  /** Gateways drain, counter services commit and ack, then the broker stops, then the database. */
  stop(): Promise<void>;
  stopAtOnce(): Promise<void>;
}

export interface RunningMesh {
  gateways: Supervised[];
  counters: Supervised[];
  dataFolder: DataFolder;
  describe(): MeshFile;
}

export function createMesh(
  settings: MeshSettings,
  options: { environment: NodeJS.ProcessEnv; say: (line: string) => void },
): Mesh {
  const { environment, say } = options;
  const running: Record<Tier, Supervised[]> = {
    gateways: [],
    proxy: [],
    counters: [],
    nats: [],
    postgres: [],
  };
  const stopping = new AbortController();
  let dataFolder: DataFolder | undefined;
  let cancelCleanup = () => {};
  let onChange = () => {};
  let endWatch = () => Promise.resolve();

  return {
    start,
    async stop() {
      stopping.abort();
      await endWatch();
      for (const tier of TIERS) await Promise.all(running[tier].map((one) => one.stop()));
      leave();
    },
    async stopAtOnce() {
      stopping.abort();
      void endWatch();
      const all = TIERS.flatMap((tier) => running[tier]);
      await Promise.all(all.map((one) => one.stopAtOnce()));
      leave();
    },
  };

  async function start(): Promise<RunningMesh> {
    const folder = await openDataFolder(settings.DATA_DIR, { say, signal: stopping.signal });
    dataFolder = folder;
    const cancel = endOrphansAfterExit(folder.path);
    await endOrphans(folder.path, say);
    // A stop before this leaves the rest of it to that process.
    cancelCleanup = cancel;
    removeMeshFile(folder.meshFile);
    await checkPort();

    const context = {
      settings,
      environment,
      dataFolder: folder,
      signal: stopping.signal,
      say,
      runAs: createRunAs(folder.path, say),
    };
    await changeNodeCount(context, withPrograms);
    const names = serviceNames(settings, say);
    const ports = await rememberPorts(folder.ports, portNames(settings, names), [settings.PORT]);
    const listeners = gatewayListeners(settings, names.gateways, ports);

    const proxy =
      settings.PROXY === 1
        ? proxyProgram(context, {
            metricsPort: ports['proxy']!,
            listeners: Object.values(listeners),
          })
        : undefined;

    say('starting the servers, then the services …');
    const [nats, postgres] = await Promise.all([
      startServers('nats', () => natsServers(context, ports)),
      startServers('postgres', () => Promise.resolve(postgresServer(context, ports['postgres']!))),
    ]);
    await claimStream(
      { url: nats.urls.provisioner, ...meshNatsAccess(settings) },
      await readDatabaseIdAt(postgres.urls.owner, settings.DATABASE_SCHEMA),
    );
    startServices(context, { names, ports, listeners, nats: nats.urls, database: postgres.urls });
    await Promise.all([...running.gateways, ...running.counters].map(({ ready }) => ready));
    if (proxy !== undefined) await keepRunning('proxy', proxy).ready;
    if (running.nats.length > 0) {
      endWatch = await restartDeadStream({
        url: nats.urls.inspector,
        servers: running.nats,
        store: folder.path,
        say,
      });
    }

    const describe = () =>
      describeMesh({
        url: meshUrl(settings),
        listeners,
        ports,
        metricsHost: metricsHost(environment),
        running,
        natsUrl: nats.urls.inspector,
        natsAccess: meshNatsAccess(settings),
        stream: settings.STREAM_NAME,
        postgresUrl: postgres.urls.owner,
        readerUrl: postgres.urls.reader,
        schema: settings.DATABASE_SCHEMA,
      });
    const write = () => writeMeshFile(folder.meshFile, describe());
    onChange = unlessDiskFails(`${folder.meshFile}, by which commands find the mesh,`, write, say);
    stopping.signal.throwIfAborted();
    onChange();
    return { ...running, dataFolder: folder, describe };
  }

  /** Gateways can share a port with each other, but two meshes would mix their clients. */
  async function checkPort(): Promise<void> {
    const { PORT, HOST } = settings;
    const isFree = await isPortFree(PORT, HOST).catch((error: Error) => {
      throw new StartError(`the gateways can't listen on HOST and PORT: ${error.message}`, {
        cause: error,
      });
    });
    if (isFree) return;
    throw new StartError(
      `port ${PORT} on ${HOST} is in use: choose another one, such as PORT=${PORT + 1} npm start`,
    );
  }

  /** A stop of the mesh ends them like all others, and `use` fails. */
  async function withPrograms<Answer>(
    programs: Program[],
    use: () => Promise<Answer>,
  ): Promise<Answer> {
    const servers = programs.map((program) => keepRunning('nats', program));
    try {
      await Promise.all(servers.map(({ ready }) => ready));
      return await use();
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
      running.nats = [];
    }
  }

  async function startServers<Urls>(
    tier: 'nats' | 'postgres',
    find: () => Promise<ServerGroup<Urls>>,
  ): Promise<ServerGroup<Urls>> {
    const servers = await find();
    // The servers of a cluster only get ready together.
    await Promise.all(servers.programs.map((program) => keepRunning(tier, program).ready));
    stopping.signal.throwIfAborted();
    await servers.provision();
    return servers;
  }

  function startServices(
    context: ServiceContext,
    options: {
      names: ServiceNames;
      ports: Record<string, number>;
      listeners: Record<string, GatewayListener>;
      nats: { gateway: string; counter: string };
      database: { gateway: string; counter: string };
    },
  ): void {
    const { names, ports, listeners, nats, database } = options;
    for (const name of names.counters) {
      const urls = { nats: nats.counter, database: database.counter };
      keepRunning('counters', counterProgram(name, ports[name]!, { urls, context }));
    }
    for (const name of names.gateways) {
      const urls = { nats: nats.gateway, database: database.gateway };
      const listener = listeners[name]!;
      keepRunning('gateways', gatewayProgram(name, ports[name]!, { urls, listener, context }));
    }
  }

  function keepRunning(tier: Tier, program: Program): Supervised {
    stopping.signal.throwIfAborted();
    const one = supervise(program, {
      say,
      beforeRun: (pid) => recordProcess(dataFolder!.path, program.name, { tier, pid }),
      onLaunch: () => onChange(),
    });
    running[tier].push(one);
    return one;
  }

  function leave(): void {
    if (dataFolder === undefined) return;
    removeMeshFile(dataFolder.meshFile);
    cancelCleanup();
    dataFolder.release();
  }
}
