import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createRandom } from './random.ts';
import { SEED } from './seed.ts';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** Sends one request and reads its answer whole. Rejects where the connection breaks. */
export function send(
  url: string,
  options: { method?: string; body?: string; headers?: Record<string, string>; agent?: Agent } = {},
): Promise<Answer> {
  const { method = 'GET', body, headers = {}, agent } = options;
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method, headers: { ...type, ...headers }, ...(agent && { agent }) },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

export function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return send(`${url}/increment`, { method: 'POST', body: text, headers });
}

export interface LoadOptions {
  urls: string[];
  keys: string[];
  connections: number;
  /** Of a connection between two requests: load for a test that is not about speed. */
  pauseMs?: number;
  /** Ends after this many requests, or by `signal`. */
  requests?: number;
  signal?: AbortSignal;
  /** Each value is from 1 to this. */
  valueMax?: number;
}

export interface LoadResult {
  /** The sum of the values that were answered 200, for each key. */
  accepted: Map<string, number>;
  /** The sum of the values whose outcome is unknown (503 or a broken connection), for each key. */
  unknown: Map<string, number>;
  statuses: Map<number, number>;
  requests: number;
}

/** After a connection that broke, since what broke it may take a moment to be back. */
const BROKEN_PAUSE_MS = 50;

/** Posts increments over keep-alive connections and keeps the books. */
export async function drive(options: LoadOptions): Promise<LoadResult> {
  const { urls, keys, connections, signal, pauseMs = 0, valueMax = 1 } = options;
  const random = createRandom(SEED);
  const left = { requests: options.requests ?? Infinity };
  const result: LoadResult = {
    accepted: new Map(),
    unknown: new Map(),
    statuses: new Map(),
    requests: 0,
  };
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const connection = async (index: number): Promise<void> => {
    const url = urls[index % urls.length] ?? '';
    while (left.requests-- > 0 && signal?.aborted !== true) {
      const key = random.pick(keys);
      const amount = random.between(1, valueMax);
      const status = await send(`${url}/increment`, {
        method: 'POST',
        body: `{"key":"${key}","value":${amount}}`,
        agent,
      }).then(
        (answer) => answer.status,
        () => 0,
      );
      result.requests++;
      result.statuses.set(status, (result.statuses.get(status) ?? 0) + 1);
      if (status === 200) add(result.accepted, key, amount);
      else if (status === 503 || status === 0) add(result.unknown, key, amount);
      if (status === 0) await delay(BROKEN_PAUSE_MS);
      else if (pauseMs > 0) await delay(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => connection(index)));
  agent.destroy();
  return result;
}

export function total(sums: Map<string, number>): number {
  let sum = 0;
  for (const value of sums.values()) sum += value;
  return sum;
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}
