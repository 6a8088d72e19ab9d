import { setTimeout as delay } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { checkSchema } from '../../schema/database/schema-version.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Stats } from '../telemetry/stats.ts';
import { compareStores, StoresDisagree } from './compare-stores.ts';
import { checkDatabase, type DatabaseHealth } from './database-health.ts';
import { reportRisk } from './report-risk.ts';
import type { StreamReaders, StreamState } from './stream-state.ts';

const PROBE_MS = 1_000;

export interface WaitOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  stats: Pick<Stats, 'risk' | 'disagreement'>;
  log: Log;
}

/**
 * Waits until both stores answer and agree. Where they disagree a person must act; that is said once, and
 * the wait ends by itself afterwards.
 */
export async function waitForStores(
  { database, stats, log }: WaitOptions,
  look: {
    readers: StreamReaders;
    health: DatabaseHealth;
    warn: (line: string) => void;
    signal: AbortSignal;
  },
): Promise<StreamState> {
  const { readers, health, warn, signal } = look;
  let said = '';

  async function checkSchemaToo(): Promise<void> {
    const later = await checkSchema(database);
    if (later !== undefined) warn(`${later}: counting goes on`);
    await checkDatabase(database);
  }

  for (;;) {
    signal.throwIfAborted();
    try {
      await health.probe(checkSchemaToo);
      const stream = await readers.readStream();
      await compareStores(database, stream, readers);
      if (said !== '') log.info('stream and database agree now');
      stats.risk = undefined;
      stats.disagreement = undefined;
      return stream;
    } catch (error) {
      if (error instanceof StoresDisagree) {
        if (said !== error.kind) log.error(`nothing is counted: ${error.message}`);
        said = error.kind;
        stats.disagreement = error.message;
        await reportRisk(error, { database, stats });
      } else if (!health.isAway)
        warn(`stream or database can't be used: ${describeDatabaseError(error)}; trying again`);
      await delay(PROBE_MS, undefined, { signal });
    }
  }
}
