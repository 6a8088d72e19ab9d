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
import { readDatabaseId } from '../../schema/database/database-id.ts';
import type { Log } from '../../telemetry/log.ts';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';
import type { Stats } from '../telemetry/stats.ts';
import { checkDurability } from '../startup/check-database.ts';
import { isDataError } from '../flush/database-error.ts';
import { probeWrites } from '../flush/probe-writes.ts';
import { confirmReplication } from '../flush/replication.ts';
import { findSettledFloor } from './settled-floor.ts';
import { compareStores, StoresDisagree } from './compare-stores.ts';
import { readStreamState, type StreamReading, type StreamState } from './stream-state.ts';

const PROBE_MS = 1_000;
/** Another counter service commits what it holds within ack_wait and the time of a flush. */
const COMMIT_MS_MAX = 5_000;
/** Smaller differences are usual, and harmless. */
const CLOCK_AHEAD_S_MAX = 5;

export interface StoresOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  watch: ConnectionWatch;
  ackWaitMs: number;
  /** Called once, when the stream turns out to be another one. */
  onMadeAgain: (error: StoresDisagree) => void;
  stats: Pick<Stats, 'risk'>;
  log: Log;
}

export interface StoreHealth {
  /** When the connection to the broker was last restored (since 1970); 0 if it was never lost. */
  readonly reconnectedAtMs: number;
  /** Milliseconds since 1970 by the broker's clock, which has stamped the messages. */
  brokerTimeMs: () => number;
  /** True from a batch that could not be flushed until a write of ours succeeds. */
  isDatabaseAway: boolean;
  /** Why nothing is pulled until a person has acted; undefined while all is well. */
  readonly disagreement: StoresDisagree | undefined;
  /** Writes as a flush does, takes it back, and pauses if it does not answer. */
  probeDatabase: () => Promise<void>;
  /**
   * Compares the stores. @returns whether it is sure that messages may be pulled; pauses if not.
   */
  look: () => Promise<boolean>;
  /**
   * The incarnation to write the ledger rows of held messages under. What is held is committed, even where
   * other messages are gone.
   *
   * @param storedAtMs when the latest of them was stored, in stream time.
   * @throws StoresDisagree if they may be taken for other messages.
   */
  readIncarnation: (storedAtMs: number) => Promise<number>;
  /** The stream and the end of its settled run. @throws StoresDisagree */
  readSettled: () => Promise<{ stream: StreamState; floor: number }>;
  /** The same, of what synchronous standbys have: what the broker may drop. @throws StoresDisagree */
  readProven: () => Promise<{ stream: StreamReading; floor: number }>;
}

/**
 * Waits until both stores answer and agree. Where they disagree a person must act; it says once what to do,
 * and goes on by itself afterwards.
 */
export async function openStores(
  options: StoresOptions,
  signal: AbortSignal,
): Promise<StoreHealth> {
  const { database, manager, watch, log } = options;
  const warn = throttleWarnings(log);
  const clock = createBrokerClock();
  let stream = await waitForStores(options, { warn, signal });
  let provenThrough = stream.firstSequence - 1;
  setClock(stream);
  let reconnectedAtMs = 0;
  /** Set at the first sight of a disagreement; it stands once it is said. */
  let suspicion: { error: StoresDisagree; since: number; isSaid: boolean } | undefined;
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

  async function look(): Promise<boolean> {
    let current: StreamState;
    try {
      current = await readSameStream();
    } catch (error) {
      if (!(error instanceof StoresDisagree)) {
        warn(`the stream can't be used: ${describeDatabaseError(error)}; trying again`);
      }
      await delay(PROBE_MS);
      return false;
    }
    // A database that is away is noticed where something is flushed.
    await compare(current).catch(() => undefined);
    if (stores.disagreement === undefined) return true;
    await delay(PROBE_MS);
    return false;
  }

  /** While the broker is away, the messages held belong to the stream that was seen last. */
  async function readIncarnation(storedAtMs: number): Promise<number> {
    // A broker that does not answer must not stop the commit of what was received.
    const current = watch.isConnected ? await readSameStream().catch(() => undefined) : undefined;
    if (current !== undefined) await compare(current).catch(rethrowOthers);
    const found = suspicion?.error;
    const isMixed = found?.kind === 'stream-made-again' && storedAtMs >= newIncarnation;
    if (found?.kind === 'stream-went-back' || (found !== undefined && isMixed)) throw found;
    return stream.incarnation;
  }

  let newIncarnation = Infinity;

  /** A stream that was made again starts at 1: acks and ledger rows would be for the wrong messages. */
  async function readSameStream(): Promise<StreamReading> {
    const current = await readStreamState(manager);
    setClock(current);
    if (current.incarnation === stream.incarnation) return current;
    const error = new StoresDisagree(
      'stream-made-again',
      'the stream was made again while this counter service ran: it commits what it holds and ends, and ' +
        'its next start takes the new stream',
    );
    if (newIncarnation === Infinity) options.onMadeAgain(error);
    newIncarnation = current.incarnation;
    suspicion = { error, since: performance.now(), isSaid: true };
    throw error;
  }

  /** @throws StoresDisagree, also where it is only suspected: nothing may be removed then. */
  async function compare(current: StreamState): Promise<void> {
    try {
      await compareStores(database, current, readSameStream, provenThrough);
    } catch (error) {
      if (error instanceof StoresDisagree) suspect(error);
      throw error;
    }
    stream = current;
    provenThrough = current.firstSequence - 1;
    if (suspicion?.isSaid === true) log.info('stream and database agree again');
    suspicion = undefined;
    options.stats.risk = undefined;
  }

  /** Says it once; where messages are gone, only when no other counter service can hold them any more. */
  function suspect(error: StoresDisagree): void {
    const now = performance.now();
    if (suspicion?.error.kind !== error.kind) suspicion = { error, since: now, isSaid: false };
    else suspicion.error = error;
    const graceMs = error.kind === 'messages-gone' ? options.ackWaitMs + COMMIT_MS_MAX : 0;
    if (suspicion.isSaid || now - suspicion.since < graceMs) return;
    suspicion.isSaid = true;
    log.error(`nothing is counted: ${error.message}`);
    void reportRisk(error, options);
  }

  async function readSettled(): Promise<{ stream: StreamState; floor: number }> {
    const current = await readSameStream();
    await compare(current);
    return { stream: current, floor: await findSettledFloor(database, current) };
  }

  async function readProven(): Promise<{ stream: StreamReading; floor: number }> {
    const current = await readSameStream();
    await compare(current);
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
    get disagreement() {
      return suspicion?.isSaid === true ? suspicion.error : undefined;
    },
    brokerTimeMs,
    isDatabaseAway: false,
    probeDatabase,
    look,
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
  let said = '';
  const sayOnce = ({ kind, message }: StoresDisagree) => {
    if (said === kind) return;
    options.log.error(`nothing is counted: ${message}`);
    said = kind;
  };
  for (;;) {
    signal.throwIfAborted();
    try {
      const later = await checkSchema(options.database);
      if (later !== undefined) options.log.warn(`${later}: counting goes on`);
      await checkDatabase(options.database);
      const readStream = () => readStreamState(options.manager);
      const stream = await readStream();
      await compareStores(options.database, stream, readStream);
      if (said !== '') options.log.info('stream and database agree now');
      options.stats.risk = undefined;
      return stream;
    } catch (error) {
      if (error instanceof StoresDisagree) {
        sayOnce(error);
        await reportRisk(error, options);
      } else
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

/**
 * Gateways store nothing more where it would be counted in another database, or dropped when the stream is
 * made again. Otherwise what they store is counted once the stores agree.
 */
async function reportRisk(
  { kind, message }: StoresDisagree,
  { database, stats }: StoresOptions,
): Promise<void> {
  if (kind !== 'other-database' && kind !== 'stream-went-back') return;
  const id = await readDatabaseId(database).catch(() => undefined);
  if (id !== undefined) stats.risk = { text: message, database: id };
}

/** Messages that are gone do not stop the commit of those that are held. */
function rethrowOthers(error: unknown): void {
  if (!(error instanceof StoresDisagree)) throw error;
}
