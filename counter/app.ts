/*
 * A counter: pulls, holds, flushes, settles. Two loops, one that pulls and one that flushes, share
 * what is held (holdings.ts). Pulling pauses while a bound is reached, while the broker is away, and
 * after a load was given back because of the database, until a query of our own succeeds: healthy
 * counters get the work.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { connectionChange, type ConnectionWatch } from '../nats/connect.ts';
import type { Delivery, Puller } from '../nats/pull.ts';
import type { Database } from '../schema/database.ts';
import type { Log } from '../telemetry/log.ts';
import { checkDurability } from './database-check.ts';
import { TallyConflict } from './flush.ts';
import { createFlushClock } from './flush-clock.ts';
import { flushLoad } from './flush-load.ts';
import { createHoldings } from './holdings.ts';
import type { HeldMessage, Load } from './load.ts';
import type { CounterMetrics, CounterObservation } from './metrics.ts';
import { prune } from './prune.ts';
import { createSettler } from './settle.ts';
import { compareStores, findSettledFloor, StoresDisagree } from './settled-floor.ts';
import { watchStores } from './store-watch.ts';
import { purgeThrough, readStreamState, type StreamState } from './stream-state.ts';

const PULL_MESSAGES_MAX = 500;
/** Far below the server's 64 MB of pending bytes a connection. */
const PULL_BYTES_MAX = 8 * 1024 * 1024;
/** A stop waits for the pull under way, so it must not be long. */
const PULL_EXPIRES_MS = 1_000;

const TICK_MS = 25;
/** At most four flushes a second, however old what comes again may be. */
const FLUSH_SPACING_MS = 250;
/** A load that could not be flushed in this time is given back; at a stop, sooner. */
const FLUSH_TRIES_MS = 30_000;
const LAST_FLUSH_TRIES_MS = 10_000;
/** What is held is claimed again this long before the broker would offer it to others. */
const CLAIM_MARGIN_MS = 2_000;
const CLAIM_TICK_MS = 500;
const PROBE_MS = 1_000;
const PRUNE_MS = 10_000;
const DEAD_LETTERS_MS = 2_000;
/** How long a stop waits for other counters' commits to make its acknowledgements one purge. */
const SETTLE_AT_STOP_MS = 2_000;
/** A message of a newer version is offered again after this long. */
const NEWER_VERSION_DELAY_NS = 5_000_000_000;

const NAK = '-NAK';
const PROGRESS = '+WPI';

export interface CounterOptions {
  database: Kysely<Database>;
  manager: JetStreamManager;
  puller: Puller;
  watch: ConnectionWatch;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  /** Hands the broker the dead letters that flushes have written down. */
  sendDeadLetters: () => Promise<void>;
  flushIntervalMs: number;
  ackWaitMs: number;
  keysHeldMax: number;
  messagesHeldMax: number;
  idempotencyKeptMs: number;
  metrics: CounterMetrics;
  log: Log;
}

export interface Counter {
  readonly held: CounterObservation;
  /** Resolves when the counter has stopped: what it held is committed and settled, or given back. */
  stop: () => Promise<void>;
  /** Rejects where the counter can't go on. */
  readonly failed: Promise<never>;
}

/** Prepares a counter, which waits for both servers, and lets it run. */
export async function startCounter(options: CounterOptions, signal: AbortSignal): Promise<Counter> {
  const { database, manager, puller, watch, send, metrics, log } = options;
  let stream = await prepare(options, signal);
  let isDatabaseAway = false;
  let isStopping = false;
  let isSending = false;
  let reconnectedAtMs = 0;
  const failure = Promise.withResolvers<never>();
  const clock = createFlushClock(options.flushIntervalMs);
  const settler = createSettler({ ackWaitMs: options.ackWaitMs, purge: purgeSettled, send, log });
  const holdings = createHoldings({
    messagesMax: options.messagesHeldMax,
    keysMax: options.keysHeldMax,
    settler,
  });

  watch.onChange((isConnected) => {
    if (isConnected) reconnectedAtMs = Date.now();
    log[isConnected ? 'info' : 'warn'](`the broker is ${isConnected ? 'back' : 'away'}`);
  });
  const pulling = pullUntilStopped();
  const flushing = flushUntilStopped();
  const stopWatching = watchStores(options);
  const sending = setInterval(() => void sendLetters(), DEAD_LETTERS_MS);
  const pruning = setInterval(() => void pruneSettled(), PRUNE_MS);
  pulling.catch(failure.reject);
  flushing.catch(failure.reject);

  async function pullUntilStopped(): Promise<void> {
    while (!isStopping) {
      if (!watch.isConnected) await connectionChange(watch, PULL_EXPIRES_MS);
      else if (isDatabaseAway) await probeDatabase();
      else if (holdings.room === 0) await delay(TICK_MS);
      else await pullOnce(holdings.room);
    }
  }

  async function pullOnce(room: number): Promise<void> {
    const limits = {
      messagesMax: Math.min(PULL_MESSAGES_MAX, room),
      bytesMax: PULL_BYTES_MAX,
      expiresMs: PULL_EXPIRES_MS,
    };
    const end = await puller.pull(limits, take);
    if (typeof end === 'string') return;
    log.warn({ pull: end }, 'the broker refused a pull; is the consumer there?');
    await delay(PROBE_MS);
  }

  function take(delivery: Delivery): void {
    metrics.received(delivery.deliveryCount > 1);
    if (holdings.take(delivery, reconnectedAtMs)) return;
    const { sequence, reply } = delivery;
    log.warn({ sequence }, 'a message of a newer version is left to a newer counter');
    send(reply, `${NAK} {"delay":${NEWER_VERSION_DELAY_NS}}`);
  }

  async function flushUntilStopped(): Promise<void> {
    while (!isStopping) {
      if (holdings.isLarge || holdings.ageOfCollecting() >= clock.dueAgeMs()) {
        await flushCollected();
        await delay(FLUSH_SPACING_MS);
      } else await delay(TICK_MS);
    }
    await pulling;
    while (holdings.collecting.messages.size > 0) await flushCollected();
  }

  async function flushCollected(): Promise<void> {
    const startedAt = performance.now();
    const load = holdings.startFlush();
    const claims = setInterval(claimHeld, CLAIM_TICK_MS);
    try {
      await flushLoad(load, {
        ...options,
        readIncarnation,
        triesMs: () => (isStopping ? LAST_FLUSH_TRIES_MS : FLUSH_TRIES_MS),
        onCommitted: (part, result) => {
          const now = performance.now();
          const times = { durationMs: now - startedAt, stalenessMs: now - result.oldestBornAt };
          metrics.flushed(result, times);
          log.debug({ ...result, ...times }, 'flushed');
          settler.add(part.messages.values());
        },
      });
      clock.record(performance.now() - startedAt);
    } catch (error) {
      giveBack(error, load);
    } finally {
      clearInterval(claims);
      holdings.endFlush();
    }
    void settler.settle();
    void sendLetters();
  }

  /** What is not committed goes back to the broker; what was committed after all, the ledger knows. */
  function giveBack(error: unknown, load: Load): void {
    const messages: HeldMessage[] = [...load.messages.values()];
    if (error instanceof StoresDisagree) failure.reject(error);
    else if (error instanceof TallyConflict) {
      log.warn({ err: error }, 'a load is taken again, message by message');
    } else {
      log.error({ err: error }, 'a load could not be flushed and is given back');
      messages.push(...holdings.dropCollecting());
      isDatabaseAway = true;
    }
    for (const { sequence, reply } of messages) if (!settler.has(sequence)) send(reply, NAK);
    metrics.gaveBack(messages.length);
    if (!(error instanceof TallyConflict)) metrics.flushFailed();
  }

  /** While a flush runs, nothing that is held may be offered to others. */
  function claimHeld(): void {
    const now = performance.now();
    for (const message of holdings.claimedBefore(now - options.ackWaitMs + CLAIM_MARGIN_MS)) {
      message.claimedAt = now;
      send(message.reply, PROGRESS);
    }
  }

  async function probeDatabase(): Promise<void> {
    try {
      await checkDurability(database);
      isDatabaseAway = false;
      log.info('the database is back');
    } catch {
      await delay(PROBE_MS);
    }
  }

  /** With the broker away, what was received belongs to the stream that was seen last. */
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
    if (current.incarnation === stream.incarnation) return current;
    throw new StoresDisagree(
      'the stream was made again while this counter ran: what it held of the old one is dropped, ' +
        'and a new start takes the new one',
    );
  }

  async function purgeSettled(): Promise<number> {
    const current = await readSameStream();
    const floor = await findSettledFloor(database, current);
    if (floor >= current.firstSequence) await purgeThrough(manager, floor);
    return floor;
  }

  /** One at a time; what is left over for now is still written down. */
  async function sendLetters(): Promise<void> {
    if (isSending || !watch.isConnected || isDatabaseAway) return;
    isSending = true;
    try {
      await options.sendDeadLetters();
    } catch (error) {
      log.warn({ err: error }, 'dead letters wait in the database');
    }
    isSending = false;
  }

  async function pruneSettled(): Promise<void> {
    if (!watch.isConnected || isDatabaseAway) return;
    try {
      const current = await readSameStream();
      const floor = await findSettledFloor(database, current);
      await prune(database, current, { floor, idempotencyKeptMs: options.idempotencyKeptMs });
    } catch (error) {
      log.warn({ err: error }, 'the ledger could not be pruned');
    }
  }

  /** In order: no new pull, the last flush, the acknowledgements. */
  async function stop(): Promise<void> {
    isStopping = true;
    clearInterval(pruning);
    clearInterval(sending);
    stopWatching();
    await flushing.catch(() => undefined);
    await sendLetters();
    await settler.finish(SETTLE_AT_STOP_MS);
    puller.close();
  }

  return {
    get held() {
      const { messages, keys, oldestAgeMs } = holdings;
      const stores = { isBrokerConnected: watch.isConnected, isDatabaseConnected: !isDatabaseAway };
      return { messages, keys, oldestAgeMs, pending: settler.pending, ...stores };
    },
    stop,
    failed: failure.promise,
  };
}

/** A broker that does not answer keeps nobody from committing what was received. */
function rethrowDisagreement(error: unknown): undefined {
  if (error instanceof StoresDisagree) throw error;
}

/** Waits for both servers, and refuses a pair that does not fit together. */
async function prepare(options: CounterOptions, signal: AbortSignal): Promise<StreamState> {
  for (;;) {
    signal.throwIfAborted();
    try {
      await checkDurability(options.database);
      const readStream = () => readStreamState(options.manager);
      const stream = await readStream();
      await compareStores(options.database, stream, readStream);
      return stream;
    } catch (error) {
      if (error instanceof StoresDisagree) throw error;
      options.log.warn({ err: error }, 'the stream or the database is not there yet; trying again');
      await delay(PROBE_MS, undefined, { signal });
    }
  }
}
