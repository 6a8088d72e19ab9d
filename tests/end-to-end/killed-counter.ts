import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { makeKeys } from '../support/counters.ts';
import { send } from '../support/load.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

/** 13 s, and what the measurement is off: the pause between two pulls and the one between two flushes. */
const AGE_MS_MAX = 13_500;
/** By then the survivor has taken, committed and purged what the killed one held. */
const WATCHED_MS = 13_000;
const TICK_MS = 50;

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
  const before = load.sent;
  await delay(WATCHED_MS);
  const answered = await load.stop();

  const countEarly = async () => {
    const counted = await readUpdated(servers);
    return answered.slice(0, before).filter(({ key }) => !counted.has(key)).length;
  };
  await until('all that was sent before the kill', countEarly, (missing) => missing === 0, 30_000);
  t.equal(await survivor.stop(), 0);

  const counted = await readUpdated(servers);
  t.equal(counted.size, answered.length, 'every 200 is counted');
  const ages = answered.map(({ key, at }) => (counted.get(key) ?? Infinity) - at);
  const heldByVictim = ages.filter((age) => age > 10_000).length;
  t.ok(heldByVictim > 0, `the killed one held ${heldByVictim} of ${ages.length}`);
  const worst = Math.max(...ages);
  t.ok(worst <= AGE_MS_MAX, `the oldest was committed after ${Math.round(worst)} ms`);
}

interface Answered {
  key: string;
  /** When it was answered, in milliseconds since 1970. */
  at: number;
}

interface Load {
  readonly sent: number;
  /** @returns the increments that were answered 200, in the order of their requests. */
  stop: () => Promise<Answered[]>;
}

/** Each request has a key of its own. */
function startLoad(url: string, requestsPerSecond: number): Load {
  const agent = new Agent({ keepAlive: true });
  const requests: Promise<Answered>[] = [];
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1_000) * requestsPerSecond;
    while (requests.length < due) requests.push(post());
  }, TICK_MS);

  async function post(): Promise<Answered> {
    const [key = ''] = makeKeys(1);
    const body = JSON.stringify({ key, value: 1 });
    const { status } = await send(`${url}/increment`, { method: 'POST', body, agent });
    if (status !== 200) throw new Error(`an increment is answered ${status}`);
    return { key, at: Date.now() };
  }

  return {
    get sent() {
      return requests.length;
    },
    stop: async () => {
      clearInterval(timer);
      const answered = await Promise.all(requests);
      agent.destroy();
      return answered;
    },
  };
}

/** When each counter was last changed, in milliseconds since 1970. */
async function readUpdated({ database }: Servers): Promise<Map<string, number>> {
  const rows = await database.selectFrom('increments').select(['key', 'updated_at']).execute();
  return new Map(rows.map((row) => [row.key, row.updated_at.getTime()]));
}
