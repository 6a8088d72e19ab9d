import { performance } from 'node:perf_hooks';
import { sql } from 'kysely';
import { CLOCK_AHEAD_MS_MAX } from '../../../schema/bounds.ts';
import { readBrokerTime } from '../broker-time.ts';
import type { MeshServers } from '../mesh-servers.ts';
import { isMissing, within, type Part } from './within.ts';

/** How far this machine's clock is ahead of a server's, give or take half of how long the answer took. */
export interface ClockDifference {
  aheadMs: number;
  uncertaintyMs: number;
}

export interface Clocks {
  broker: Part<ClockDifference>;
  database: Part<ClockDifference>;
  problems: string[];
}

export async function readClocks(servers: MeshServers, timeoutMs: number): Promise<Clocks> {
  const [broker, database] = await Promise.all([
    within(timeoutMs, async () => {
      const manager = await servers.manager('inspector');
      return measure(() => readBrokerTime(manager));
    }),
    within(timeoutMs, async () => {
      const db = await servers.database();
      return measure(async () => {
        const { rows } = await sql<{ ms: number }>`
          select extract(epoch from clock_timestamp())::double precision * 1000 as ms`.execute(db);
        return rows[0]!.ms;
      });
    }),
  ]);
  const problems = Object.entries({ broker, database }).flatMap(([of, found]) => {
    if (isMissing(found) || Math.abs(found.aheadMs) <= CLOCK_AHEAD_MS_MAX + found.uncertaintyMs)
      return [];
    const seconds = Math.round(Math.abs(found.aheadMs) / 1000);
    const side = found.aheadMs > 0 ? 'ahead of' : 'behind';
    return [`this machine's clock is ${seconds} s ${side} the ${of}'s: synchronize it`];
  });
  return { broker, database, problems };
}

async function measure(readTheirMs: () => Promise<number>): Promise<ClockDifference> {
  const startedAt = performance.now();
  const theirMs = await readTheirMs();
  const tookMs = performance.now() - startedAt;
  const uncertaintyMs = Math.ceil(tookMs / 2);
  return { aheadMs: Math.round(Date.now() - tookMs / 2 - theirMs), uncertaintyMs };
}
