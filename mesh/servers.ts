import { join } from 'node:path';
import { provision } from '../nats/provision.ts';
import { migrate } from '../schema/migrate.ts';
import type { MeshSettings } from './config.ts';
import type { DataFolder } from './embedded/data-folder.ts';
import { launchNats, natsStopSteps, natsUrls, untilNatsAnswers } from './embedded/nats.ts';
import type { NatsRole } from './embedded/nats.ts';
import { findNatsServer } from './embedded/nats-server-binary.ts';
import {
  launchPostgres,
  postgresStopSteps,
  postgresUrl,
  untilPostgresAnswers,
} from './embedded/postgres.ts';
import { StartError } from './start-error.ts';
import type { Program } from './supervisor.ts';

/** A server that the services connect to: one of our own, or one that exists already. */
export interface Server<Urls> {
  urls: Urls;
  /** Undefined for a server that somebody else runs. */
  program: Program | undefined;
  /** Makes what the services need in it; can be repeated. */
  prepare(): Promise<void>;
}

export interface ServerContext {
  settings: MeshSettings;
  dataFolder: DataFolder;
  signal: AbortSignal;
  say: (line: string) => void;
}

export async function natsServer(
  context: ServerContext,
  port: number,
): Promise<Server<Record<NatsRole, string>>> {
  const { settings, dataFolder, signal, say } = context;
  const external = settings.NATS_URL;
  const options = {
    folder: dataFolder.nats,
    logFile: join(dataFolder.logs, 'nats-server.log'),
    port,
    passwords: dataFolder.secrets.nats,
  };
  const urls = external === undefined ? natsUrls(options) : sameForAll(external);
  const prepare = () =>
    provision({
      url: urls.provisioner,
      ...(settings.REPLICAS !== undefined && { replicas: settings.REPLICAS }),
      flushIntervalMs: settings.FLUSH_INTERVAL_MS,
    });
  if (external !== undefined) {
    return { urls, prepare: () => explained('NATS_URL', prepare), program: undefined };
  }

  const binary = await findNatsServer({ signal, say });
  const program: Program = {
    name: 'nats-server',
    launch: () => launchNats({ ...options, binary }),
    ready: (server) => untilNatsAnswers(server, options),
    stopSteps: natsStopSteps,
    // Whatever it acknowledged is on the disk.
    endAtOnce: 'SIGKILL',
  };
  return { urls, program, prepare };
}

export function postgresServer(
  context: ServerContext,
  port: number,
): Server<Record<'owner' | 'gateway' | 'counter', string>> {
  const { settings, dataFolder, signal } = context;
  const { owner: password, gateway, counter } = dataFolder.secrets.postgres;
  const options = {
    folder: dataFolder.postgres,
    logFile: join(dataFolder.logs, 'postgres.log'),
    port,
    password,
    signal,
  };
  const owner = settings.DATABASE_URL ?? postgresUrl(options);
  const urls = {
    owner,
    gateway: withRole(owner, 'mesh_gateway', gateway),
    counter: withRole(owner, 'mesh_counter', counter),
  };
  const prepare = () =>
    migrate({ ownerUrl: owner, gatewayPassword: gateway, counterPassword: counter });
  if (settings.DATABASE_URL !== undefined) {
    return { urls, prepare: () => explained('DATABASE_URL', prepare), program: undefined };
  }

  const program: Program = {
    name: 'PostgreSQL',
    launch: () => launchPostgres(options),
    ready: (server) => untilPostgresAnswers(server, options),
    stopSteps: postgresStopSteps,
    // Immediate, and its children with it; they would outlive a SIGKILL for a moment.
    endAtOnce: 'SIGQUIT',
  };
  return { urls, program, prepare };
}

/** What somebody else's server refuses is for its user to change, so no stack is shown. */
async function explained(variable: string, prepare: () => Promise<void>): Promise<void> {
  try {
    await prepare();
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const reason = message || code || String(error);
    throw new StartError(`the server of ${variable} can't be prepared: ${reason}`, {
      cause: error,
    });
  }
}

/** An existing server has whatever users its owner made; we are given one. */
function sameForAll(url: string): Record<NatsRole, string> {
  return { gateway: url, counter: url, inspector: url, provisioner: url };
}

function withRole(ownerUrl: string, role: string, password: string): string {
  const url = new URL(ownerUrl);
  url.username = role;
  url.password = password;
  return url.href;
}
