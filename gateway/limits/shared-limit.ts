/*
 * A rate limit that holds for the mesh as a whole, and costs a request no message.
 *
 * Time is cut into windows at the same moments everywhere. Each gateway counts what a client asks of
 * it in a window, granted or not, and a few times a second tells the others the counts that changed.
 * So every gateway knows its share of the client's demand and grants that share of the limit: what
 * all of them grant adds up to the limit, and a client whose whole demand is below it is never
 * refused. A gateway that is cut off goes on by what it knows, and in the end by its own counts.
 */
import { randomUUID } from 'node:crypto';
import { Type, type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Broadcast } from '../../nats/broadcast.ts';

/** What gateways tell each other: a client's count so far in a window, so a lost message is no harm. */
const Report = Type.Object({
  from: Type.String(),
  window: Type.Integer(),
  counts: Type.Array(Type.Tuple([Type.String(), Type.Number({ minimum: 0 })])),
});
type Report = Static<typeof Report>;
const report = Compile(Report);

export interface SharedLimit {
  /**
   * Asks for some of a client's limit in the present window.
   *
   * @returns how much is left, less than 0 where it is refused, and when the window ends.
   */
  take: (client: string, limit: number, cost: number) => { remaining: number; ttlMs: number };
  close: () => void;
}

interface Usage {
  asked: number;
  granted: number;
  /** What was asked here when others last told what was asked there. */
  askedWhenTold: number;
  /** By gateway. */
  elsewhere: Map<string, number>;
}

const EXCHANGE_MS = 150;
/** Clients that are counted in a window; more are only limited by their own gateway's oldest. */
const CLIENTS_MAX = 50_000;
/** Counts in one message, which stays far below the broker's limit. */
const REPORT_COUNTS_MAX = 2_000;

/** @param nowMs a clock that all gateways share; their own clocks may differ. */
export function createSharedLimit(
  windowMs: number,
  exchange: Broadcast,
  nowMs: () => number = Date.now,
): SharedLimit {
  const from = randomUUID();
  let window = currentWindow();
  let usages = new Map<string, Usage>();
  let previous = new Map<string, Usage>();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  exchange.subscribe(listen);

  function take(client: string, limit: number, cost: number) {
    turnWindow();
    const usage = usageOf(usages, client);
    usage.asked += cost;
    changed.add(client);
    timer ??= setTimeout(tell, EXCHANGE_MS).unref();
    const elsewhere = Math.max(sum(usage.elsewhere), expectedElsewhere(client, limit, usage));
    const share = usage.asked / (usage.asked + elsewhere);
    const remaining = Math.floor(limit * share) - usage.granted - cost;
    if (remaining >= 0) usage.granted += cost;
    return { remaining, ttlMs: (window + 1) * windowMs - nowMs() };
  }

  /**
   * What others tell arrives a little late. Of a client that was over its limit in the last window, or
   * is on its way over it in this one, it is expected that it goes on spreading its demand as it did.
   */
  function expectedElsewhere(client: string, limit: number, usage: Usage): number {
    const last = previous.get(client);
    if (last !== undefined && last.asked > 0 && last.asked + sum(last.elsewhere) > limit) {
      return (usage.asked * sum(last.elsewhere)) / last.asked;
    }
    const known = usage.asked + sum(usage.elsewhere);
    const elapsed = (nowMs() % windowMs) / windowMs;
    const isOnItsWayOver = known > limit / 2 && known > limit * elapsed;
    if (!isOnItsWayOver || usage.askedWhenTold === 0) return 0;
    return (usage.asked * sum(usage.elsewhere)) / usage.askedWhenTold;
  }

  function turnWindow(): void {
    const now = currentWindow();
    // A clock that is corrected by a little does not bring the last window back.
    if (now === window || now === window - 1) return;
    tell();
    previous = now === window + 1 ? usages : new Map();
    usages = new Map();
    window = now;
  }

  function tell(): void {
    clearTimeout(timer);
    timer = undefined;
    const counts: Report['counts'] = [];
    for (const client of changed) {
      counts.push([client, usages.get(client)?.asked ?? 0]);
      if (counts.length === REPORT_COUNTS_MAX) break;
    }
    for (const [client] of counts) changed.delete(client);
    if (changed.size > 0) timer = setTimeout(tell, EXCHANGE_MS).unref();
    if (counts.length > 0)
      exchange.publish(JSON.stringify({ from, window, counts } satisfies Report));
  }

  function listen(text: string): void {
    const told = readReport(text);
    if (told === undefined || told.from === from) return;
    turnWindow();
    const target =
      told.window === window ? usages : told.window === window - 1 ? previous : undefined;
    if (target === undefined) return;
    for (const [client, asked] of told.counts) {
      const usage = usageOf(target, client);
      usage.elsewhere.set(told.from, asked);
      usage.askedWhenTold = usage.asked;
    }
  }

  function currentWindow(): number {
    return Math.floor(nowMs() / windowMs);
  }

  return { take, close: () => clearTimeout(timer) };
}

/** Whatever else is said on the subject is not for us. */
function readReport(text: string): Report | undefined {
  try {
    const said: unknown = JSON.parse(text);
    return report.Check(said) ? said : undefined;
  } catch {
    return undefined;
  }
}

function usageOf(usages: Map<string, Usage>, client: string): Usage {
  let usage = usages.get(client);
  if (usage === undefined) {
    usage = { asked: 0, granted: 0, askedWhenTold: 0, elsewhere: new Map() };
    usages.set(client, usage);
    if (usages.size > CLIENTS_MAX) usages.delete(usages.keys().next().value ?? client);
  }
  return usage;
}

function sum(counts: Map<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
