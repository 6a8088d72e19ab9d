import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isOldServer, SERVER_VERSION_MIN } from '../../nats/server-version.ts';
import { isAsFetched, noteFetched } from './fetched-program.ts';
import { fetchFromDebian } from './nats-server-debian.ts';
import { buildWithGo } from './nats-server-go.ts';
import { fetchRelease, VERSION } from './nats-server-release.ts';
import type { NatsServerSource } from './nats-server-source.ts';
import { runProgram } from './run-program.ts';
import { isExecutable, onPath } from './search-path.ts';
import { StartError } from './start-error.ts';

export interface SearchOptions {
  environment?: NodeJS.ProcessEnv;
  /** Where a fetched nats-server is kept. */
  cacheFolder?: string;
  sources?: NatsServerSource[];
  signal?: AbortSignal;
  say?: (line: string) => void;
}

/**
 * Finds a nats-server that is new enough: NATS_SERVER_BIN, the PATH, the cache; else fetches one
 * into the cache. Nothing is installed system-wide. One in the cache that is not what was fetched is fetched
 * again.
 *
 * @throws StartError with everything that was tried and what the user can do; or where others can change the
 *   cache.
 */
export async function findNatsServer(options: SearchOptions = {}): Promise<string> {
  const environment = options.environment ?? process.env;
  const cacheFolder = options.cacheFolder ?? projectCache();
  // Another version is fetched once this one is no longer pinned.
  const cached = join(cacheFolder, `nats-server-${VERSION}-${process.platform}-${process.arch}`);
  const tried: string[] = [];

  // What the user names is used or refused, never silently ignored.
  const named = environment.NATS_SERVER_BIN;
  if (named) {
    const problem = await findProblem(named);
    if (problem === undefined) return named;
    throw new StartError(`NATS_SERVER_BIN is ${named}, which ${problem}.`);
  }

  for (const candidate of [...onPath('nats-server', environment.PATH ?? ''), cached]) {
    if (!isExecutable(candidate)) continue;
    const isDamaged = candidate === cached && !isAsFetched(cached);
    const problem = isDamaged
      ? `is not what was fetched (if you put it there, remove ${cached}.sha256)`
      : await findProblem(candidate);
    if (problem === undefined) return candidate;
    tried.push(`${candidate} ${problem}`);
  }
  if (tried.length === 0) tried.push(`no nats-server on the PATH, none in ${cacheFolder}`);

  for (const source of options.sources ?? [fetchRelease, buildWithGo, fetchFromDebian]) {
    try {
      options.say?.(`fetching nats-server from ${source.name} (once) …`);
      await source.fetch(cached, options.signal);
      const problem = await findProblem(cached);
      if (problem === undefined) {
        noteFetched(cached);
        return cached;
      }
      tried.push(`${source.name}: the fetched program ${problem}`);
    } catch (error) {
      options.signal?.throwIfAborted();
      tried.push(`${source.name}: ${(error as Error).message}`);
    }
  }
  throw new StartError(
    `no nats-server ${SERVER_VERSION_MIN} or later could be found or fetched (${tried.join('; ')}): ` +
      'put one on the PATH (macOS: brew install nats-server), name one in NATS_SERVER_BIN, use a running ' +
      'server with NATS_URL=nats://…, or run everything in containers with docker compose up',
  );
}

function projectCache(): string {
  return fileURLToPath(new URL('../../.cache', import.meta.url));
}

/** Why a program can't be used, to follow its name in a sentence; undefined where it can. */
async function findProblem(binary: string): Promise<string | undefined> {
  if (!isExecutable(binary)) return 'is not an executable file';
  let output: string;
  try {
    output = await runProgram(binary, ['--version'], { timeoutMs: 5000 });
  } catch (error) {
    return `does not run: ${(error as Error).message}`;
  }
  const version = /nats-server: v(\d+\.\d+)\./.exec(output)?.[1];
  if (version === undefined) return 'prints no version of nats-server';
  return isOldServer(version)
    ? `is too old (${output.trim()}, ${SERVER_VERSION_MIN} is needed)`
    : undefined;
}
