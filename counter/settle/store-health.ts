/*
 * Broker and database as a counter service sees them: whether each can be reached, and whether the stream
 * is still the one whose messages it holds. What follows from what it reads is in agreement.ts.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';
import type { Kysely } from 'kysely';
import { createBrokerClock, describeClock, type Clocks } from '../../nats/broker-clock.ts';
import type { ConnectionWatch } from '../../nats/connect.ts';
import type { Database } from '../../schema/database/tables.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import type { Log } from '../../telemetry/log.ts';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';
import type { Stats } from '../telemetry/stats.ts';
import type { SettledThrough } from '../maintenance/count-increments.ts';
import { confirmReplication } from '../flush/replication.ts';
import {
  afterAgreed,
  afterDisagreed,
  afterMadeAgain,
  afterReplaced,
  findCommitObstacle,
  findDisagreementSaid,
  startAgreement,
} from './agreement.ts';
import { compareStores, StoresDisagree } from './compare-stores.ts';
import { createDatabaseHealth, type DatabaseHealth } from './database-health.ts';
import { recordComplete } from './record-complete.ts';
import { reportRisk } from './report-risk.ts';
import { findSettledFloor } from './settled-floor.ts';
import {
  readStreamState,
  streamReaders,
  type StreamReading,
  type StreamState,
} from './stream-state.ts';
import { waitForStores } from './wait-for-stores.ts';

const PROBE_MS = 1_000;
/** How long a commit waits for what the broker says of the stream. */
const ANSWER_MS_MAX = 1_000;
/** Another counter service commits what it holds within ack_wait and the time of a flush. */
const COMMIT_MS_MAX = 5_000;

export interface StoresOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  watch: ConnectionWatch;
  ackWaitMs: number;
  /** Called once, when the stream turns out to be another one. */
  onMadeAgain: (error: StoresDisagree) => void;
  /** Of the database. */
  databaseUser: string;
  stats: Pick<Stats, 'risk' | 'disagreement' | 'clockAheadMs' | 'databaseProblem'>;
  log: Log;
}

export interface StoreHealth {
  /** When the connection to the broker was last restored (since 1970); 0 if it was never lost. */
  readonly reconnectedAtMs: number;
  /** Milliseconds since 1970 by the broker's clock, which has stamped the messages. */
  brokerTimeMs: () => number;
  /** True while PostgreSQL is known to take no writes. */
  readonly isDatabaseAway: boolean;
  readonly database: DatabaseHealth;
  /** As it was found last; undefined before. */
  readonly settled: SettledThrough | undefined;
  /** Why nothing is pulled until a person has acted; undefined while all is well. */
  readonly disagreement: StoresDisagree | undefined;
  /**
   * Compares the stores. @returns whether it is sure that messages may be pulled; pauses if not.
   *
   * @param reading of the stream, if it was read just now.
   */
  look: (reading?: StreamReading) => Promise<boolean>;
  /**
   * The incarnation to write the ledger rows of held messages under.
   *
   * @param storedAtMs when the latest of them was stored, in stream time.
   * @throws StoresDisagree if they may be taken for other messages.
   */
  readIncarnation: (storedAtMs: number) => Promise<number>;
  /** A message was seen in the place of another: nothing is pulled or removed until the next start. */
  refuseReplaced: (error: StoresDisagree) => void;
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
  const { database, manager, watch, stats, log } = options;
  const warn = throttleWarnings(log);
  const clock = createBrokerClock();
  const { readStoredMs } = streamReaders(manager);
  const readers = {
    readStream: () => readStreamState(manager).then(setClock),
    readStoredMs: (sequence: number) => readStoredMs(sequence).catch(ignoreDenied),
  };
  const health = createDatabaseHealth({ database, user: options.databaseUser, stats, log });
  let agreement = startAgreement(await waitForStores(options, { readers, health, warn, signal }));
  health.watch();
  let reconnectedAtMs = 0;
  let settled: SettledThrough | undefined;
  let recordedFloor: number | undefined;
  watch.onChange((isConnected) => {
    if (isConnected) reconnectedAtMs = brokerTimeMs();
    log[isConnected ? 'info' : 'warn'](`the broker is ${isConnected ? 'back' : 'away'}`);
  });

  /** Ages of messages go by it: this machine's clock may be hours off, or be set meanwhile. */
  function brokerTimeMs(): number {
    return clock.timeMs(readClocks());
  }

  function setClock(stream: StreamReading): StreamReading {
    if (stream.isLate) return stream;
    clock.set(stream.brokerMs, readClocks());
    stats.clockAheadMs = clock.aheadMs;
    const wrong = describeClock(clock.aheadMs);
    if (wrong !== undefined) warn(`${wrong}, by which the ages of increments are measured`);
    return stream;
  }

  /** An older configuration of the broker does not grant it. */
  function ignoreDenied(error: unknown): undefined {
    if (!((error as Error).cause instanceof errors.PermissionViolationError)) throw error;
    warn(
      'the broker does not let this counter service read messages by their sequence, so a stream that is ' +
        'restored from an older copy may go unnoticed: grant it what nats/roles.conf does',
    );
  }

  async function look(reading?: StreamReading): Promise<boolean> {
    try {
      const { stream, floor } = await readSettled(reading);
      await record(stream, floor);
    } catch (error) {
      if (!(error instanceof StoresDisagree)) {
        warn(
          `stream and database can't be compared: ${describeDatabaseError(error)}; trying again`,
        );
        await delay(PROBE_MS);
        return false;
      }
    }
    if (stores.disagreement === undefined) return true;
    await delay(PROBE_MS);
    return false;
  }

  async function readIncarnation(storedAtMs: number): Promise<number> {
    // A broker that is away or does not answer must not stop the commit of what was received.
    if (watch.isConnected) await Promise.race([readSameStream().catch(ignore), waitForAnswer()]);
    const obstacle = findCommitObstacle(agreement, storedAtMs);
    if (obstacle !== undefined) throw obstacle;
    return agreement.incarnation;
  }

  /** A stream that was made again starts at 1: acks and ledger rows would be for the wrong messages. */
  async function readSameStream(reading?: StreamReading): Promise<StreamReading> {
    const current = reading === undefined ? await readers.readStream() : setClock(reading);
    if (current.incarnation === agreement.incarnation) return current;
    const error = new StoresDisagree(
      'stream-made-again',
      'the stream was made again while this counter service ran: it commits what it holds and ends, and ' +
        'its next start takes the new stream',
    );
    const isFirst = agreement.madeAgain === undefined;
    agreement = afterMadeAgain(agreement, error, current.incarnation);
    if (isFirst) options.onMadeAgain(error);
    throw error;
  }

  /**
   * @returns the last settled sequence, and the settled floor.
   * @throws StoresDisagree, also where it is only suspected: nothing may be removed then.
   */
  async function compare(current: StreamState): Promise<{ last: number; floor: number }> {
    if (agreement.replaced !== undefined) throw agreement.replaced;
    let found: { last: number; floor: number };
    try {
      const same = { ...readers, readStream: () => readSameStream() };
      found = await compareStores(database, current, same, agreement.provenThrough);
    } catch (error) {
      if (error instanceof StoresDisagree) suspect(error);
      throw error;
    }
    if (agreement.suspicion?.isSaid === true) log.info('stream and database agree again');
    agreement = afterAgreed(agreement, current);
    stats.risk = undefined;
    stats.disagreement = undefined;
    return found;
  }

  function suspect(error: StoresDisagree): void {
    if (error.kind === 'stream-made-again') return;
    const wasSaid = findDisagreementSaid(agreement)?.kind === error.kind;
    const graceMs = options.ackWaitMs + COMMIT_MS_MAX;
    agreement = afterDisagreed(agreement, error, { now: performance.now(), graceMs });
    if (agreement.suspicion?.isSaid !== true) return;
    stats.disagreement = error.message;
    if (!wasSaid) log.error(`nothing is counted: ${error.message}`);
    void reportRisk(error, options);
  }

  function refuseReplaced(error: StoresDisagree): void {
    if (agreement.replaced !== undefined) return;
    agreement = afterReplaced(agreement, error);
    stats.disagreement = error.message;
    log.error(`nothing is counted: ${error.message}`);
    void reportRisk(error, options);
  }

  async function readSettled(
    reading?: StreamReading,
  ): Promise<{ stream: StreamReading; floor: number }> {
    const current = await readSameStream(reading);
    const { last, floor } = await compare(current);
    settled = { incarnation: current.incarnation, floor, lastSettled: last };
    return { stream: current, floor };
  }

  async function readProven(): Promise<{ stream: StreamReading; floor: number }> {
    const current = await readSameStream();
    const { last } = await compare(current);
    const floor = await database.transaction().execute(async (transaction) => {
      const settled = await findSettledFloor(transaction, current);
      // On the same server: after a fail-over another one may have less.
      await confirmReplication(transaction);
      return settled;
    });
    // What was committed since may be of a stream that went back meanwhile.
    const proven = Math.min(floor, last);
    settled = { incarnation: current.incarnation, floor: proven, lastSettled: last };
    await record(current, proven);
    return { stream: current, floor: proven };
  }

  /** Beside the way of an increment: a failure only lets the time stand still. */
  async function record(current: StreamReading, floor: number): Promise<void> {
    // While messages wait above the floor, time moves only with it.
    if (floor === recordedFloor && floor < current.lastSequence) return;
    try {
      await recordComplete(database, current, floor);
      recordedFloor = floor;
    } catch (error) {
      warn(`how complete the counters are can't be recorded: ${describeDatabaseError(error)}`);
    }
  }

  const stores: StoreHealth = {
    get reconnectedAtMs() {
      return reconnectedAtMs;
    },
    get disagreement() {
      return findDisagreementSaid(agreement);
    },
    brokerTimeMs,
    get isDatabaseAway() {
      return health.isAway;
    },
    database: health,
    get settled() {
      return settled;
    },
    look,
    readIncarnation,
    refuseReplaced,
    readSettled: () => readSettled(),
    readProven,
  };
  return stores;
}

const ignore = (): void => undefined;
const waitForAnswer = () => delay(ANSWER_MS_MAX, undefined, { ref: false });

function readClocks(): Clocks {
  return { wallMs: Date.now(), monotonicMs: performance.now() };
}
