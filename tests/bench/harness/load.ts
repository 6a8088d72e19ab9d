import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readUsage } from './process-usage.ts';

const SCRIPT = fileURLToPath(new URL('increments.lua', import.meta.url));

/** What was sent last is answered in this time, or the run is not counted. */
const QUIET_S = 2;
const SAMPLE_MS = 100;

export interface LoadShape {
  connections: number;
  seconds: number;
  /** How many keys there are, and how requests spread over them. */
  keys: number;
  spread: 'uniform' | 'hot' | 'zipf';
  /** An Idempotency-Key, unique for each request. */
  once?: boolean;
  /** Increments in a request; above 1 the bulk route is used. */
  batch?: number;
  /** Requests per second; as fast as possible where it is not given. */
  rate?: number;
}

/** What the load generator has sent, all of it answered 2xx. */
export interface Sent {
  requests: number;
  increments: number;
  /** The sum that was sent for each key. */
  sums: Map<string, number>;
  requestsPerSecond: number;
  /** As its sender counts: the client's buffer adds up before it sends. */
  incrementsPerSecond: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  maxMs: number;
  /** Of the load generator itself, which shares the machine. */
  cpuSeconds: number | undefined;
}

/** Raised where wrk is not there; says how to get it. */
export class NoLoadGenerator extends Error {
  override readonly name = 'NoLoadGenerator';
}

/** Raised where a request was refused or not answered, so that nobody knows what should be stored. */
export class LoadFailed extends Error {
  override readonly name = 'LoadFailed';
}

/** Puts wrk on an address without a path. Percentiles are wrk's own, corrected for coordinated omission. */
export async function runLoad(url: string, shape: LoadShape): Promise<Sent> {
  const { connections, seconds, keys, spread, once, batch, rate } = shape;
  const settings = { seconds, keys, spread, tag: nextTag++, once: once && 1, batch, rate };
  const output = await runWrk([
    '-t1',
    `-c${connections}`,
    `-d${seconds + QUIET_S}s`,
    // No answer is late before the end of the quiet time, when it is missing.
    `--timeout=60s`,
    `-s${SCRIPT}`,
    url,
    '--',
    ...Object.entries(settings).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    ),
  ]);
  const line = /^BOOKS (.*)$/m.exec(output.text)?.[1];
  if (line === undefined) throw new LoadFailed(`wrk gave no result:\n${output.text}`);
  const { sums, answered, failed, refused, ...books } = JSON.parse(line) as Books;
  if (answered !== books.requests || failed > 0 || refused > 0) {
    throw new LoadFailed(
      `of ${books.requests} requests ${answered} were answered, ${refused} of them with an error; ` +
        `${failed} connections or requests failed`,
    );
  }
  return {
    ...books,
    sums: new Map(Object.entries(sums)),
    requestsPerSecond: books.requests / seconds,
    incrementsPerSecond: books.increments / seconds,
    cpuSeconds: output.cpuSeconds,
  };
}

/** Loads share their keys, but no idempotency key. */
let nextTag = 1;

interface Books extends Omit<
  Sent,
  'sums' | 'requestsPerSecond' | 'incrementsPerSecond' | 'cpuSeconds'
> {
  sums: Record<string, number>;
  answered: number;
  failed: number;
  refused: number;
}

/** @throws NoLoadGenerator */
export async function checkLoadGenerator(): Promise<void> {
  await runWrk(['-v']);
}

function runWrk(args: string[]): Promise<{ text: string; cpuSeconds: number | undefined }> {
  return new Promise((resolve, reject) => {
    const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    let cpuSeconds: number | undefined;
    // What a process used is gone with it, so it is read while wrk is still there.
    const sampling = setInterval(() => {
      cpuSeconds = child.pid === undefined ? undefined : readUsage(child.pid)?.cpuSeconds;
    }, SAMPLE_MS);
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearInterval(sampling);
      const isMissing = cause.code === 'ENOENT';
      reject(isMissing ? new NoLoadGenerator(MISSING, { cause }) : cause);
    });
    child.on('close', () => {
      clearInterval(sampling);
      resolve({ text: Buffer.concat(chunks).toString(), cpuSeconds });
    });
  });
}

const MISSING =
  'the benchmarks need wrk, which is not on the PATH. Install it: ' +
  'apt-get install wrk (Debian, Ubuntu), dnf install wrk (Fedora), brew install wrk (macOS)';
