import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import type { ConnectionWatch } from '../../nats/connect.ts';
import { readParkedState } from '../../schema/database/parked-state.ts';
import type { Database } from '../../schema/database/tables.ts';
import type { Log } from '../../telemetry/log.ts';
import { readBooks } from './audit.ts';
import type { Stats } from '../telemetry/stats.ts';
import { readStreamState } from '../settle/stream-state.ts';
import { readTableSizes } from './table-sizes.ts';

/** Not only at each flush: lag matters most while nothing is committed. */
const STREAM_MS = 2_000;
/** The server's own estimates, which are cheap. */
const SIZES_MS = 15_000;
/** Reads every counter and the ledger: some seconds of one core for ten million keys. */
const BOOKS_MS = 5 * 60_000;
const PARKED_MS = 5_000;

export interface StoreWatchOptions {
  manager: JetStreamManager;
  database: Kysely<Database>;
  watch: ConnectionWatch;
  stats: Stats;
  log: Log;
}

/** Reads both stores periodically, for the stats. Returns a function that stops it. */
export function watchStores({
  manager,
  database,
  watch,
  stats,
  log,
}: StoreWatchOptions): () => void {
  async function readStream(): Promise<void> {
    if (!watch.isConnected) return;
    try {
      stats.streamSeen(await readStreamState(manager));
    } catch (error) {
      log.debug({ err: error }, 'the stream could not be read');
    }
  }

  async function audit(): Promise<void> {
    try {
      const { difference } = await readBooks(database);
      stats.audited(Number(difference));
      if (difference !== '0')
        log.error({ difference }, 'the books do not balance: run `npm run mesh -- audit`');
    } catch (error) {
      log.debug({ err: error }, 'the books could not be read');
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
    setInterval(() => void readStream(), STREAM_MS),
    setInterval(() => void readTables(), SIZES_MS),
    setInterval(() => void audit(), BOOKS_MS),
  ];
  void readParked();
  void readStream();
  void readTables();
  void audit();
  return () => timers.forEach(clearInterval);
}
