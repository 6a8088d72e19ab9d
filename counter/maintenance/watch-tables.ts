import type { Kysely } from 'kysely';
import { readParkedState } from '../../schema/database/parked-state.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import { readBooks } from './audit.ts';
import { createCountedIncrements } from './count-increments.ts';
import type { StoreHealth } from '../settle/store-health.ts';
import type { Stats } from '../telemetry/stats.ts';
import { readTableSizes } from './table-sizes.ts';

/** The server's own estimates, which are cheap. */
const SIZES_MS = 15_000;
/** Reads every counter and the ledger: some seconds of one core for ten million keys. */
const BOOKS_MS = 5 * 60_000;
const PARKED_MS = 5_000;
const COUNTED_MS = 2_000;

export interface TablesWatchOptions {
  database: Kysely<Database>;
  stores: Pick<StoreHealth, 'settled' | 'isDatabaseAway'>;
  stats: Stats;
  log: Log;
}

/** Reads the database periodically, for the stats. Returns a function that stops it. */
export function watchTables({ database, stores, stats, log }: TablesWatchOptions): () => void {
  const counted = createCountedIncrements(database);
  let isReading = false;

  async function audit(): Promise<void> {
    try {
      const { difference } = await readBooks(database);
      stats.audited(Number(difference));
      counted.readAnew();
      if (difference !== '0')
        log.error({ difference }, 'the books do not balance: run `npm run mesh -- audit`');
    } catch (error) {
      log.debug({ err: error }, 'the books could not be read');
    }
  }

  async function readCounted(): Promise<void> {
    const { settled } = stores;
    if (settled === undefined || stores.isDatabaseAway || isReading) return;
    isReading = true;
    try {
      stats.incrementsCounted = await counted.read(settled);
    } catch (error) {
      log.debug({ err: error }, 'the increments that are counted could not be read');
    } finally {
      isReading = false;
    }
  }

  async function readTables(): Promise<void> {
    try {
      stats.tablesSeen(await readTableSizes(database));
    } catch (error) {
      log.debug({ err: error }, 'the sizes of the tables could not be read');
    }
  }

  async function readParked(): Promise<void> {
    try {
      stats.parkedSeen(await readParkedState(database));
    } catch (error) {
      log.debug({ err: error }, 'the parked messages could not be read');
    }
  }

  const timers = [
    setInterval(() => void readParked(), PARKED_MS),
    setInterval(() => void readCounted(), COUNTED_MS),
    setInterval(() => void readTables(), SIZES_MS),
    setInterval(() => void audit(), BOOKS_MS),
  ];
  void readParked();
  void readTables();
  void audit();
  return () => timers.forEach(clearInterval);
}
