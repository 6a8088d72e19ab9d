/*
 * Sliding windows: what each client was granted within the last window. The grants of any window of that
 * length add up to the limit at most, so there is no burst of twice the limit at an edge. A refused request
 * leaves no trace.
 */

export interface Taken {
  isAllowed: boolean;
  /** What is left of the limit. */
  remaining: number;
  /** Until more of the limit is free; if refused, until there is room for the request. */
  ttlMs: number;
}

export interface SlidingWindows {
  /**
   * Takes `cost` of a client's limit, or nothing.
   *
   * @param now in milliseconds, of a clock that never goes back.
   */
  take: (client: string, ask: { limit: number; cost: number }, now: number) => Taken;
  /** Records that a client had used so much at a time; usage that is known here already is part of it. */
  seed: (client: string, used: number, usedAt: number) => void;
  /** How much a client has used, and when it used the last of it; 0 if that is unknown. */
  read: (client: string, now: number) => { used: number; usedAt: number };
}

/** Grants, oldest first, and their sum. */
interface Usage {
  limit: number;
  used: number;
  grants: Grant[];
}

/** What was granted from one moment through another; all of it counts until the latter is a window ago. */
interface Grant {
  from: number;
  through: number;
  cost: number;
}

/**
 * Grants within this part of a window are merged: a client with a million requests has a hundred entries,
 * and none of them is freed early.
 */
const GRANT_SPACING = 1 / 100;
/** How many clients are checked for one that may be forgotten. */
const EVICTION_CHECKS_MAX = 32;

export function createSlidingWindows(windowMs: number, clientsMax: number): SlidingWindows {
  /** In the order in which clients came, or were last found at their limit. */
  const usages = new Map<string, Usage>();

  function take(client: string, ask: { limit: number; cost: number }, now: number): Taken {
    const { limit, cost } = ask;
    const usage = usageOf(client, now);
    forget(usage, now - windowMs);
    usage.limit = limit;
    const isAllowed = usage.used + cost <= limit;
    if (isAllowed) grant(usage, cost, now);
    const freedAt = isAllowed
      ? (usage.grants[0]?.through ?? now) + windowMs
      : roomAt(usage, limit - cost) + windowMs;
    return { isAllowed, remaining: Math.max(0, limit - usage.used), ttlMs: freedAt - now };
  }

  function seed(client: string, used: number, usedAt: number): void {
    const usage = usageOf(client, usedAt);
    forget(usage, usedAt - windowMs);
    const cost = used - usage.used;
    if (cost <= 0) return;
    if (usedAt >= (usage.grants.at(-1)?.through ?? -Infinity)) {
      grant(usage, cost, usedAt);
      return;
    }
    usage.used += cost;
    usage.grants.push({ from: usedAt, through: usedAt, cost });
    usage.grants.sort((left, right) => left.through - right.through);
  }

  function read(client: string, now: number): { used: number; usedAt: number } {
    const usage = usages.get(client);
    if (usage === undefined) return { used: 0, usedAt: now };
    forget(usage, now - windowMs);
    return { used: usage.used, usedAt: usage.grants.at(-1)?.through ?? now };
  }

  function grant(usage: Usage, cost: number, now: number): void {
    usage.used += cost;
    const newest = usage.grants.at(-1);
    if (newest === undefined || now - newest.from >= windowMs * GRANT_SPACING) {
      usage.grants.push({ from: now, through: now, cost });
    } else {
      newest.through = now;
      newest.cost += cost;
    }
  }

  function usageOf(client: string, now: number): Usage {
    const known = usages.get(client);
    if (known !== undefined) return known;
    if (usages.size >= clientsMax) evict(now);
    const usage: Usage = { limit: 0, used: 0, grants: [] };
    usages.set(client, usage);
    return usage;
  }

  /** Forgets the oldest client that is below its limit: one at its limit would get a second one. */
  function evict(now: number): void {
    let checks = 0;
    for (const [client, usage] of usages) {
      forget(usage, now - windowMs);
      const isAtLimit = usage.used >= usage.limit && usage.used > 0;
      usages.delete(client);
      if (!isAtLimit || ++checks === EVICTION_CHECKS_MAX) return;
      usages.set(client, usage);
    }
  }

  return { take, seed, read };
}

function forget(usage: Usage, before: number): void {
  const { grants } = usage;
  let count = 0;
  while (count < grants.length && grants[count]!.through <= before)
    usage.used -= grants[count++]!.cost;
  if (count > 0) grants.splice(0, count);
}

/** When the last grant was given that must expire before no more than `usedMax` is used. */
function roomAt({ used, grants }: Usage, usedMax: number): number {
  let left = used;
  for (const { through, cost } of grants) {
    left -= cost;
    if (left <= usedMax) return through;
  }
  return grants.at(-1)?.through ?? 0;
}
