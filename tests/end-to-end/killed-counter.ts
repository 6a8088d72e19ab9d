import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { makeKeys } from '../support/counters.ts';
import { send } from '../support/load.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { isThere, until } from '../support/until.ts';

/** 13 s, and what the measurement is off: the pause between two pulls and the one between two flushes. */
const AGE_MS_MAX = 13_500;
/** By then the survivor has taken, committed and purged what the killed one held. */
const WATCHED_MS = 13_000;
const TICK_MS = 50;
const CONNECTIONS = 128;

export interface KillOptions {
  requestsPerSecond: number;
  /** From the start of the load, or from the first flush of the one that is killed. */
  afterMs: number;
  afterFlush?: boolean;
}

/** Kills one of two counter services under a steady load, and looks at the age of each increment. */
export async function checkKill(t: Test, options: KillOptions): Promise<void> {
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);
  const debug = { LOG_LEVEL: 'debug' };
  const [victim, survivor] = await Promise.all([
    startCounter(t, servers, debug),
    startCounter(t, servers, debug),
  ]);

  const load = startLoad(gateway.url, options.requestsPerSecond);
  if (options.afterFlush === true) {
    await until('a flush', () => victim.log.some(({ msg }) => msg === 'flushed'));
  }
  await delay(options.afterMs);
  victim.kill('SIGKILL');
  const killedAt = Date.now();
  await delay(WATCHED_MS);
  const answered = await load.stop();

  const countEarly = async () => {
    const counted = await readUpdated(servers);
    return answered.filter(({ key, at }) => at < killedAt && !counted.has(key)).length;
  };
  await until(
    'all that was accepted before the kill',
    countEarly,
    (missing) => missing === 0,
    30_000,
  );
  t.equal(await survivor.stop(), 0);

  const counted = await readUpdated(servers);
  const ages = answered.map(({ key, at }) => (counted.get(key) ?? Infinity) - at);
  const heldByVictim = ages.filter((age) => age > 10_000).length;
  t.ok(heldByVictim > 0, `the killed one held ${heldByVictim} of ${ages.length}`);
  const worst = ages.reduce((most, age) => Math.max(most, age), 0);
  t.ok(worst <= AGE_MS_MAX, `the oldest was committed after ${Math.round(worst)} ms`);
}

interface Answered {
  key: string;
  /** When it was answered, in milliseconds since 1970. */
  at: number;
}

interface Load {
  /** @returns the increments that were answered 200. */
  stop: () => Promise<Answered[]>;
}

/** Each request has a key of its own. What is refused by a gateway that can't keep up is left out. */
function startLoad(url: string, requestsPerSecond: number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const requests: Promise<Answered | undefined>[] = [];
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1_000) * requestsPerSecond;
    while (requests.length < due) requests.push(post());
  }, TICK_MS);

  async function post(): Promise<Answered | undefined> {
    const [key = ''] = makeKeys(1);
    const body = JSON.stringify({ key, value: 1 });
    const { status } = await send(`${url}/increment`, { method: 'POST', body, agent });
    return status === 200 ? { key, at: Date.now() } : undefined;
  }

  return {
    stop: async () => {
      clearInterval(timer);
      const answered = await Promise.all(requests);
      agent.destroy();
      return answered.filter(isThere);
    },
  };
}

/** When each counter was last changed, in milliseconds since 1970. */
async function readUpdated({ database }: Servers): Promise<Map<string, number>> {
  const rows = await database.selectFrom('increments').select(['key', 'updated_at']).execute();
  return new Map(rows.map((row) => [row.key, row.updated_at.getTime()]));
}
