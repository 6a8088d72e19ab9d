/*
 * Broker and database as a counter service sees them: whether each can be reached, and whether the stream
 * is still the one whose messages it holds.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { createBrokerClock, type Clocks } from '../../nats/broker-clock.ts';
import type { ConnectionWatch } from '../../nats/connect.ts';
import type { Database } from '../../schema/database/tables.ts';
import { checkSchema } from '../../schema/database/schema-version.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import type { Log } from '../../telemetry/log.ts';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';
import { checkDurability } from '../startup/check-database.ts';
import { isDataError } from '../flush/database-error.ts';
import { probeWrites } from '../flush/probe-writes.ts';
import { confirmReplication } from '../flush/replication.ts';
import { findSettledFloor } from './settled-floor.ts';
import { compareStores, StoresDisagree } from './compare-stores.ts';
import { readStreamState, type StreamState } from './stream-state.ts';

const PROBE_MS = 1_000;
/** Smaller differences are usual, and harmless. */
const CLOCK_AHEAD_S_MAX = 5;

export interface StoresOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  watch: ConnectionWatch;
  /** Called when the stream turns out to be another one. */
  onDisagreement: (error: StoresDisagree) => void;
  log: Log;
}

export interface StoreHealth {
  /** When the connection to the broker was last restored (since 1970); 0 if it was never lost. */
  readonly reconnectedAtMs: number;
  /** Milliseconds since 1970 by the broker's clock, which has stamped the messages. */
  brokerTimeMs: () => number;
  /** True from a batch that could not be flushed until a write of ours succeeds. */
  isDatabaseAway: boolean;
  /** Writes as a flush does, takes it back, and pauses if it does not answer. */
  probeDatabase: () => Promise<void>;
  /** The incarnation to write ledger rows under. @throws StoresDisagree */
  readIncarnation: () => Promise<number>;
  /** The stream and the end of its settled run. @throws StoresDisagree */
  readSettled: () => Promise<{ stream: StreamState; floor: number }>;
  /** The same, of what synchronous standbys have: what the broker may drop. @throws StoresDisagree */
  readProven: () => Promise<{ stream: StreamState; floor: number }>;
}

/** Waits for both stores. @throws StoresDisagree if they do not belong together. */
export async function openStores(
  options: StoresOptions,
  signal: AbortSignal,
): Promise<StoreHealth> {
  const { database, manager, watch, log } = options;
  const warn = throttleWarnings(log);
  const clock = createBrokerClock();
  let stream = await waitForStores(options, { warn, signal });
  setClock(stream);
  let reconnectedAtMs = 0;
  watch.onChange((isConnected) => {
    if (isConnected) reconnectedAtMs = brokerTimeMs();
    log[isConnected ? 'info' : 'warn'](`the broker is ${isConnected ? 'back' : 'away'}`);
  });

  /** Ages of messages go by it: this machine's clock may be hours off, or be set meanwhile. */
  function brokerTimeMs(): number {
    return clock.timeMs(readClocks());
  }

  function setClock({ brokerMs }: StreamState): void {
    if (brokerMs === undefined) return;
    clock.set(brokerMs, readClocks());
    const aheadS = Math.round(clock.aheadMs / 1000);
    if (Math.abs(aheadS) <= CLOCK_AHEAD_S_MAX) return;
    warn(`this machine's clock is ${aheadS} s ahead of the broker's, by which ages are measured`);
  }

  async function probeDatabase(): Promise<void> {
    try {
      await checkDatabase(database);
      stores.isDatabaseAway = false;
      log.info('the database is back');
    } catch (error) {
      warn(`the database is away: ${describeDatabaseError(error)}; trying again`);
      await delay(PROBE_MS);
    }
  }

  /** While the broker is away, the messages held belong to the stream that was seen last. */
  async function readIncarnation(): Promise<number> {
    const current = watch.isConnected
      ? await readSameStream().catch(rethrowDisagreement)
      : undefined;
    if (current !== undefined) {
      await compareStores(database, current, readSameStream);
      stream = current;
    }
    return stream.incarnation;
  }

  /** A stream that was made again starts at 1: acks and ledger rows would be for the wrong messages. */
  async function readSameStream(): Promise<StreamState> {
    const current = await readStreamState(manager);
    setClock(current);
    if (current.incarnation === stream.incarnation) return current;
    const disagreement = new StoresDisagree(
      'the stream was made again while this counter service ran: its messages of the old stream are ' +
        'dropped, and its next start takes the new stream',
    );
    options.onDisagreement(disagreement);
    throw disagreement;
  }

  async function readSettled(): Promise<{ stream: StreamState; floor: number }> {
    const current = await readSameStream();
    return { stream: current, floor: await findSettledFloor(database, current) };
  }

  async function readProven(): Promise<{ stream: StreamState; floor: number }> {
    const current = await readSameStream();
    const floor = await database.transaction().execute(async (transaction) => {
      const settled = await findSettledFloor(transaction, current);
      // On the same server: after a fail-over another one may have less.
      await confirmReplication(transaction);
      return settled;
    });
    return { stream: current, floor };
  }

  const stores: StoreHealth = {
    get reconnectedAtMs() {
      return reconnectedAtMs;
    },
    brokerTimeMs,
    isDatabaseAway: false,
    probeDatabase,
    readIncarnation,
    readSettled,
    readProven,
  };
  return stores;
}

async function waitForStores(
  options: StoresOptions,
  { warn, signal }: { warn: (line: string) => void; signal: AbortSignal },
): Promise<StreamState> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const later = await checkSchema(options.database);
      if (later !== undefined) options.log.warn(`${later}: counting goes on`);
      await checkDatabase(options.database);
      const readStream = () => readStreamState(options.manager);
      const stream = await readStream();
      await compareStores(options.database, stream, readStream);
      return stream;
    } catch (error) {
      if (error instanceof StoresDisagree) throw error;
      warn(`stream or database can't be used: ${describeDatabaseError(error)}; trying again`);
      await delay(PROBE_MS, undefined, { signal });
    }
  }
}

function readClocks(): Clocks {
  return { wallMs: Date.now(), monotonicMs: performance.now() };
}

/** Does what a flush does. That it refuses a value of the probe means nothing for other values. */
async function checkDatabase(database: Kysely<Database>): Promise<void> {
  await checkDurability(database);
  await probeWrites(database).catch((error: unknown) => {
    if (!isDataError(error)) throw error;
  });
}

/** A broker that does not answer must not stop the commit of what was received. */
function rethrowDisagreement(error: unknown): undefined {
  if (error instanceof StoresDisagree) throw error;
}
