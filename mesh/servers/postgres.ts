import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { onDatabase } from '../../schema/database/database.ts';
import { SUPERUSER } from '../../schema/database/set-up-server.ts';
import {
  spawnDetached,
  stopProcess,
  type BeforeRun,
  type DetachedProcess,
  type StopStep,
} from './detached-process.ts';
import { openLogFile, readLogTails } from './log-file.ts';
import { checkReachable, findPostgresAccount } from './postgres-account.ts';
import {
  cleanEnvironment,
  createCluster,
  findBinaries,
  type Binaries,
} from './postgres-cluster.ts';
import { untilReady } from './until-ready.ts';

export interface PostgresOptions {
  /** Of the data. Under root, the user `postgres` must be able to enter its parent. */
  folder: string;
  /** Default: `<folder>.log`. */
  logFile?: string;
  /** Where it writes its log, by a setting; then `logFile` has what it says before it can. */
  ownLogFolder?: string;
  port: number;
  /** Of the superuser, `postgres`. */
  password: string;
  /** More settings, as `name=value`. */
  settings?: string[];
  /** In place of those of the npm package. */
  binaries?: Binaries;
  signal?: AbortSignal;
}

export interface PostgresServer extends DetachedProcess {
  /** The superuser's, for the database `increments`, which setUpServer() makes. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Fast shutdown (clients are disconnected, then a checkpoint), then immediate. */
export const postgresStopSteps: StopStep[] = [
  { signal: 'SIGINT', waitMs: 20_000 },
  { signal: 'SIGQUIT', waitMs: 5000 },
  { signal: 'SIGKILL', waitMs: 5000 },
];

const DATABASE = 'increments';

const SETTINGS = [
  'listen_addresses=127.0.0.1',
  // No socket files: their folder is not ours, and their paths may be too long.
  'unix_socket_directories=',
  'password_encryption=scram-sha-256',
  'fsync=on',
  'synchronous_commit=on',
  'max_connections=100',
  'shared_buffers=128MB',
  'wal_compression=on',
  'log_min_messages=warning',
  'log_timezone=UTC',
];

/**
 * Starts a real PostgreSQL on 127.0.0.1, created at the first start, and waits until it answers.
 *
 * @throws StartError with the end of its log, or the folder that its user can't enter.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const server = await launchPostgres(options);
  try {
    await untilPostgresAnswers(server, options);
  } catch (error) {
    server.kill('SIGQUIT');
    throw error;
  }
  return {
    ...server,
    url: postgresUrl(options),
    stop: async () => void (await stopProcess(server, postgresStopSteps)),
  };
}

export async function launchPostgres(
  options: PostgresOptions,
  beforeRun?: BeforeRun,
): Promise<DetachedProcess> {
  const { folder, port, password, signal } = options;
  const binaries = options.binaries ?? (await findBinaries());
  const account = await findPostgresAccount();
  mkdirSync(dirname(folder), { recursive: true });
  if (account !== undefined) {
    await checkReachable(account, dirname(folder), 'its data is');
    await checkReachable(account, binaries.postgres, 'its programs are');
  }
  await createCluster(folder, password, { binaries, account, signal });
  await untilPredecessorsLeft(folder);

  const settings = [...SETTINGS, ...(options.settings ?? [])].flatMap((one) => ['-c', one]);
  const log = openLogFile(logFile(options));
  try {
    return await spawnDetached(binaries.postgres, ['-D', folder, '-p', String(port), ...settings], {
      ...account,
      beforeRun,
      cwd: folder,
      env: cleanEnvironment(),
      stdio: ['ignore', log, log],
    });
  } finally {
    closeSync(log);
  }
}

/** After a crash PostgreSQL replays its log first, which can take a while. */
export function untilPostgresAnswers(
  server: DetachedProcess,
  options: PostgresOptions,
): Promise<void> {
  return untilReady(server, () => answers(options), {
    name: 'PostgreSQL',
    deadlineMs: 90_000,
    readLog: () => readLogTails([logFile(options), newestIn(options.ownLogFolder)]),
  });
}

/** The superuser's. */
export function postgresUrl({ port, password }: PostgresOptions, database = DATABASE): string {
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`;
}

/** Their names have the time of their start. */
function newestIn(folder: string | undefined): string | undefined {
  if (folder === undefined || !existsSync(folder)) return undefined;
  const newest = readdirSync(folder).toSorted().at(-1);
  return newest && join(folder, newest);
}

function logFile(options: PostgresOptions): string {
  return options.logFile ?? `${options.folder}.log`;
}

async function answers(options: PostgresOptions): Promise<boolean> {
  const look = { name: 'increment-mesh start', queryTimeoutMs: 2_000 };
  try {
    await onDatabase(postgresUrl(options, 'postgres'), look, (db) => sql`select 1`.execute(db));
    return true;
  } catch (error) {
    // The data of an older version has no such superuser yet.
    if ((error as { code?: string }).code === '28P01') return true;
    throw error;
  }
}

/**
 * Where the main process was killed by SIGKILL, its children leave by themselves, and a new one refuses
 * to start before that. They are known by their working folder, which Linux shows.
 *
 * It also refuses where any process has the pid that the lock of the killed one names, be it a zombie, for
 * which nobody has waited, or a stranger, as in a container or after a power cut. Such a lock is removed.
 */
async function untilPredecessorsLeft(folder: string): Promise<void> {
  if (process.platform !== 'linux') return;
  const workingFolder = realpathSync(folder);
  const deadline = performance.now() + 10_000;
  const isChild = (pid: string) => worksThere(pid, 'postgres: ');
  while (performance.now() < deadline && readdirSync('/proc').some(isChild)) await delay(25);
  const lock = join(folder, 'postmaster.pid');
  const [holder = ''] = existsSync(lock) ? readFileSync(lock, 'utf8').split('\n') : [];
  if (!worksThere(holder)) rmSync(lock, { force: true });

  function worksThere(pid: string, command = ''): boolean {
    try {
      return (
        readlinkSync(`/proc/${pid}/cwd`) === workingFolder &&
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(command)
      );
    } catch {
      // No process, one that has ended, or another user's.
      return false;
    }
  }
}
