/*
 * A counter: pulls, holds, flushes, settles.
 *
 * A delivered message is in one place at a time and moves forward only:
 *   collecting  the load that deliveries go into;
 *   flushing    the load that a transaction is being made of, one at a time;
 *   settled     committed, waiting in the settler for a purge (settle.ts).
 * A load that can't be flushed is given back to the broker (`nak`) and forgotten.
 *
 * Pulling pauses while the bounds are reached, while the broker is away, and after a load was given
 * back because of the database, until a query of our own succeeds: healthy counters get the work.
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
import { isDataError } from './database-error.ts';
import { flush, TallyConflict, type FlushOptions, type FlushResult } from './flush.ts';
import { createFlushClock } from './flush-clock.ts';
import { takeDelivery } from './intake.ts';
import { createLoad, halve, type HeldMessage, type Load } from './load.ts';
import type { CounterMetrics } from './metrics.ts';
import { prune } from './prune.ts';
import { createSettler } from './settle.ts';
import { compareStores, findSettledFloor, StoresDisagree } from './settled-floor.ts';
import { purgeThrough, readStreamState, type StreamState } from './stream-state.ts';

const PULL_MESSAGES_MAX = 500;
/** Far below the server's 64 MB of pending bytes a connection. */
const PULL_BYTES_MAX = 8 * 1024 * 1024;
/** A stop waits for the pull under way, so it must not be long. */
const PULL_EXPIRES_MS = 1_000;
/** Bodies of messages that wait for the ledger's answer. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;

const TICK_MS = 25;
/** At most four flushes a second, however old what comes again may be. */
const FLUSH_SPACING_MS = 250;
/** A load that could not be flushed in this time is given back. */
const FLUSH_TRIES_MS = 30_000;
const RETRY_MS_MAX = 2_000;
const PROBE_MS = 1_000;
const PRUNE_MS = 10_000;
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
  storeDeadLetter: FlushOptions['storeDeadLetter'];
  flushIntervalMs: number;
  ackWaitMs: number;
  keysHeldMax: number;
  messagesHeldMax: number;
  idempotencyKeptMs: number;
  metrics: CounterMetrics;
  log: Log;
}

export interface Counter {
  readonly held: { messages: number; keys: number; pending: number; oldestAgeMs: number };
  /** Resolves when the counter has stopped: what it held is committed and settled, or given back. */
  stop: () => Promise<void>;
  /** Rejects where the counter can't go on. */
  readonly failed: Promise<never>;
}

/** Prepares a counter, which waits for both servers, and lets it run. */
export async function startCounter(options: CounterOptions, signal: AbortSignal): Promise<Counter> {
  const { database, manager, puller, watch, send, metrics, log } = options;
  let stream = await prepare(options, signal);
  let collecting = createLoad();
  let flushing: Load | undefined;
  let isDatabaseAway = false;
  let isStopping = false;
  let reconnectedAtMs = 0;
  const clock = createFlushClock(options.flushIntervalMs);
  const settler = createSettler({ ackWaitMs: options.ackWaitMs, purge: purgeSettled, send, log });
  const failure = Promise.withResolvers<never>();

  watch.onChange((isConnected) => {
    log[isConnected ? 'info' : 'warn'](isConnected ? 'the broker is back' : 'the broker is away');
    if (isConnected) reconnectedAtMs = Date.now();
  });

  const pulling = pullUntilStopped();
  const flushes = flushUntilStopped();
  const pruning = setInterval(() => void pruneSettled(), PRUNE_MS);
  pulling.catch(failure.reject);
  flushes.catch(failure.reject);

  async function pullUntilStopped(): Promise<void> {
    while (!isStopping) {
      if (!watch.isConnected) {
        await connectionChange(watch, PULL_EXPIRES_MS);
        continue;
      }
      if (isDatabaseAway) {
        await probeDatabase();
        continue;
      }
      const room = options.messagesHeldMax - heldMessages();
      if (room <= 0 || heldKeys() >= options.keysHeldMax || heldBytes() >= BODY_BYTES_MAX) {
        await delay(TICK_MS);
        continue;
      }
      const limits = {
        messagesMax: Math.min(PULL_MESSAGES_MAX, room),
        bytesMax: PULL_BYTES_MAX,
        expiresMs: PULL_EXPIRES_MS,
      };
      const end = await puller.pull(limits, take);
      if (typeof end !== 'string') {
        log.warn({ pull: end }, 'the broker refused a pull; is the consumer there?');
        await delay(PROBE_MS);
      }
    }
  }

  function take(delivery: Delivery): void {
    const { sequence, reply } = delivery;
    metrics.received(delivery.deliveryCount > 1);
    const held = collecting.messages.get(sequence) ?? flushing?.messages.get(sequence);
    if (held !== undefined) {
      held.reply = reply;
      held.claimedAt = performance.now();
      return;
    }
    if (settler.owns(sequence, reply)) return;
    const understood = takeDelivery(collecting, delivery, {
      suspectBeforeMs: reconnectedAtMs,
      isHeldElsewhere: (id) => flushing?.ids.has(id) ?? false,
    });
    if (understood) return;
    log.warn({ sequence }, 'a message of a newer version is left to a newer counter');
    send(reply, `${NAK} {"delay":${NEWER_VERSION_DELAY_NS}}`);
  }

  async function flushUntilStopped(): Promise<void> {
    while (!isStopping || collecting.messages.size > 0) {
      if (isStopping || isDue()) {
        await flushLoad();
        if (!isStopping) await delay(FLUSH_SPACING_MS);
      } else await delay(TICK_MS);
    }
  }

  function isDue(): boolean {
    const { messages, tally, bodyBytes, oldestBornAt } = collecting;
    return (
      performance.now() - oldestBornAt >= clock.dueAgeMs() ||
      messages.size >= options.messagesHeldMax / 2 ||
      tally.size >= options.keysHeldMax / 2 ||
      bodyBytes >= BODY_BYTES_MAX / 2
    );
  }

  async function flushLoad(): Promise<void> {
    const load = (flushing = collecting);
    collecting = createLoad();
    const startedAt = performance.now();
    const claims = setInterval(claimHeld, FLUSH_SPACING_MS);
    try {
      await checkIncarnation();
      await flushWithRetries(load, startedAt);
      clock.record(performance.now() - startedAt);
    } catch (error) {
      giveBack(error, load);
    } finally {
      clearInterval(claims);
      flushing = undefined;
    }
  }

  async function flushWithRetries(load: Load, startedAt: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        committed(
          load,
          await flush(database, load, { ...options, incarnation: stream.incarnation }),
          startedAt,
        );
        return;
      } catch (error) {
        if (error instanceof TallyConflict) throw error;
        if (isDataError(error)) {
          await flushInHalves(load, startedAt, error);
          return;
        }
        if (performance.now() - startedAt > FLUSH_TRIES_MS) throw error;
        log.warn({ err: error, attempt }, 'a flush failed and is tried again');
        await delay(Math.min(RETRY_MS_MAX, 100 * 2 ** attempt));
      }
    }
  }

  /** A value that the database refuses costs its own message only. */
  async function flushInHalves(load: Load, startedAt: number, error: unknown): Promise<void> {
    if (load.tally.size > 0)
      throw new TallyConflict('the database refused a value', { cause: error });
    const [message] = load.messages.values();
    if (load.messages.size === 1 && message?.body !== undefined) {
      log.error({ err: error, sequence: message.sequence }, 'the database refuses a message');
      message.body.refusal = 'refused-by-database';
      await flushWithRetries(load, startedAt);
      return;
    }
    for (const half of halve(load)) await flushWithRetries(half, startedAt);
  }

  function committed(load: Load, result: FlushResult, startedAt: number): void {
    const now = performance.now();
    metrics.flushed(result, {
      durationMs: now - startedAt,
      stalenessMs: now - result.oldestBornAt,
    });
    settler.add(load.messages.values());
    void settler.settle();
    log.debug({ ...result, durationMs: Math.round(now - startedAt) }, 'flushed');
  }

  /** What is not committed goes back to the broker; what was committed after all, the ledger knows. */
  function giveBack(error: unknown, load: Load): void {
    const messages = [...load.messages.values()];
    if (error instanceof TallyConflict) {
      log.warn(
        { messages: messages.length },
        `${error.message}: the load comes again, one message at a time`,
      );
    } else if (error instanceof StoresDisagree) {
      failure.reject(error);
    } else {
      log.error(
        { err: error, messages: messages.length },
        'a load could not be flushed and is given back',
      );
      messages.push(...collecting.messages.values());
      collecting = createLoad();
      isDatabaseAway = true;
    }
    for (const { reply } of messages) send(reply, NAK);
    metrics.gaveBack(messages.length);
  }

  /** While a flush runs, what is held is claimed again before the broker offers it to others. */
  function claimHeld(): void {
    const now = performance.now();
    const dueAt = now - (options.ackWaitMs - 2_000);
    const claim = (message: HeldMessage) => {
      if (message.claimedAt > dueAt) return;
      message.claimedAt = now;
      send(message.reply, PROGRESS);
    };
    flushing?.messages.forEach(claim);
    collecting.messages.forEach(claim);
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

  /** A stream that was made again starts at 1, and what is held belongs to the old one. */
  async function checkIncarnation(): Promise<void> {
    if (!watch.isConnected) return;
    const current = await readStreamState(manager).catch(() => undefined);
    if (current === undefined) return;
    if (current.incarnation !== stream.incarnation) {
      log.error('the stream was made again; what was held of the old one is dropped');
      settler.forget();
      flushing?.messages.clear();
      flushing?.tally.clear();
      collecting = createLoad();
    }
    await compareStores(database, current);
    stream = current;
  }

  async function purgeSettled(): Promise<number> {
    const current = await readStreamState(manager);
    if (current.incarnation !== stream.incarnation) return 0;
    const floor = await findSettledFloor(database, current);
    if (floor >= current.firstSequence) await purgeThrough(manager, floor);
    metrics.streamSeen(current);
    return floor;
  }

  async function pruneSettled(): Promise<void> {
    if (!watch.isConnected || isDatabaseAway) return;
    try {
      const current = await readStreamState(manager);
      const floor = await findSettledFloor(database, current);
      metrics.streamSeen(current);
      await prune(database, current, { floor, idempotencyKeptMs: options.idempotencyKeptMs });
    } catch (error) {
      log.warn({ err: error }, 'the ledger could not be pruned');
    }
  }

  function heldMessages(): number {
    return collecting.messages.size + (flushing?.messages.size ?? 0);
  }

  function heldKeys(): number {
    return collecting.tally.size + (flushing?.tally.size ?? 0);
  }

  function heldBytes(): number {
    return collecting.bodyBytes + (flushing?.bodyBytes ?? 0);
  }

  /** In order: no new pull, the last flush, the acknowledgements. */
  async function stop(): Promise<void> {
    isStopping = true;
    clearInterval(pruning);
    await pulling.catch(() => undefined);
    await flushes.catch(() => undefined);
    await settler.finish(2_000);
    puller.close();
  }

  return {
    get held() {
      const oldest = Math.min(collecting.oldestBornAt, flushing?.oldestBornAt ?? Infinity);
      return {
        messages: heldMessages(),
        keys: heldKeys(),
        pending: settler.pending,
        oldestAgeMs: oldest === Infinity ? 0 : performance.now() - oldest,
      };
    },
    stop,
    failed: failure.promise,
  };
}

/** Waits for both servers, and refuses a pair that does not fit together. */
async function prepare(options: CounterOptions, signal: AbortSignal): Promise<StreamState> {
  for (;;) {
    signal.throwIfAborted();
    try {
      await checkDurability(options.database);
      const stream = await readStreamState(options.manager);
      await compareStores(options.database, stream);
      return stream;
    } catch (error) {
      if (error instanceof StoresDisagree) throw error;
      options.log.warn({ err: error }, 'the stream or the database is not there yet; trying again');
      await delay(PROBE_MS, undefined, { signal });
    }
  }
}
