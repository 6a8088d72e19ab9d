import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import { nakAfter } from '../../nats/acknowledgement.ts';
import { connectionChange, type ConnectionWatch } from '../../nats/connect.ts';
import type { Delivery, PullEnd, Puller } from '../../nats/pull.ts';
import { COUNTER } from '../../nats/streams.ts';
import type { Log } from '../../telemetry/log.ts';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';
import type { MessageBuffer } from './message-buffer.ts';
import type { Stats } from '../telemetry/stats.ts';
import type { StoreHealth } from '../settle/store-health.ts';
import { createWithheldBodies } from './withheld-bodies.ts';

const PULL_MESSAGES_MAX = 500;
/** Far below the server's limit of 64 MB of pending bytes for a connection. */
const PULL_BYTES_MAX = 8 * 1024 * 1024;
/** A stop waits for the current pull, so it must be short. */
const PULL_EXPIRES_MS = 1_000;
/**
 * The pause after a pull that emptied the stream. Pulling each message as soon as it is stored would wake
 * the broker and this service each time, though a flush is seconds away.
 */
const PULL_SPACING_MS = 100;
/** At a stop: takes what is there and does not wait for more. */
const LAST_PULL_EXPIRES_MS = 0;
/** A backlog is left to others, or to the next start: to count all of it may take longer than a stop may. */
const LAST_PULLS_MS_MAX = 2_000;
/** How often to check for room while a limit is reached. */
const FULL_TICK_MS = 25;
const REFUSED_MS = 1_000;
/** How often to check whether PostgreSQL takes writes again. */
const AWAY_TICK_MS = 100;

/**
 * A message of a newer version that can't be parked is delivered again after this long: the most that the
 * consumer has pending are then fewer than 2 000 deliveries a second.
 */
const NOT_PARKED_DELAY_MS = 60_000;

export interface PullLoopOptions {
  manager: JetStreamManager;
  puller: Puller;
  watch: ConnectionWatch;
  stores: StoreHealth;
  buffer: MessageBuffer;
  /** Called with each delivery. */
  onDelivery: (delivery: Delivery) => void;
  /** Called after each message that is held. */
  onTaken: () => void;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  stopping: AbortSignal;
  stats: Stats;
  log: Log;
}

/**
 * Pulls from the shared consumer. Pauses while a limit is reached, while the broker is away, and while
 * PostgreSQL takes no writes of this counter service: healthy ones get the work. After a disconnection or a refusal it first makes sure that the stream is still the same one.
 */
export async function pullUntilStopped(options: PullLoopOptions): Promise<void> {
  const { puller, watch, stores, buffer, stopping, stats, log } = options;
  const warn = throttleWarnings(log);
  const delayOfWithheld = createWithheldBodies(options.manager);

  /** False where the stream may have been removed or made again since the last pull. */
  let isSure = false;

  function pull(expiresMs: number): Promise<PullEnd> {
    const messagesMax = Math.min(PULL_MESSAGES_MAX, buffer.room);
    return puller.pull({ messagesMax, bytesMax: PULL_BYTES_MAX, expiresMs }, take);
  }

  async function pullOnce(): Promise<void> {
    const end = await pull(PULL_EXPIRES_MS);
    if (end === 'emptied') await delay(PULL_SPACING_MS);
    isSure = end === 'emptied' || end === 'full';
    if (typeof end === 'string') return;
    warn(
      `the broker refuses pulls (${end.status} ${end.description}): if the stream or its consumer is not ` +
        'there, `npm start` or `npm run provision` makes it; trying again',
    );
    await delay(REFUSED_MS);
  }

  function take(delivery: Delivery): void {
    stats.received(delivery.deliveryCount > 1);
    options.onDelivery(delivery);
    if (delivery.isWithoutBody === true) void takeWithoutBody(delivery);
    else accept(delivery);
  }

  /** A malformed message becomes a dead letter, but not one whose body can still be had. */
  async function takeWithoutBody(delivery: Delivery): Promise<void> {
    const delayMs = await delayOfWithheld(performance.now());
    if (delayMs === undefined) return accept(delivery);
    warn(
      `messages come without their bodies and are not counted: if the consumer ${COUNTER} has headers_only, ` +
        '`npm run provision` corrects it; trying again',
    );
    options.send(delivery.reply, nakAfter(delayMs));
  }

  function accept(delivery: Delivery): void {
    if (stores.disagreement !== undefined) return;
    if (buffer.accept(delivery, stores.reconnectedAtMs)) {
      log.debug({ sequence: delivery.sequence, deliveries: delivery.deliveryCount }, 'taken');
      options.onTaken();
      return;
    }
    warn(
      'no room to park messages of a newer version, which stay in the stream and slow counting down: ' +
        'upgrade counter services',
    );
    options.send(delivery.reply, nakAfter(NOT_PARKED_DELAY_MS));
  }

  while (!stopping.aborted) {
    if (!watch.isConnected) {
      isSure = false;
      await connectionChange(watch, PULL_EXPIRES_MS);
    } else if (stores.isDatabaseAway) await delay(AWAY_TICK_MS);
    else if (!isSure || stores.disagreement !== undefined) isSure = await stores.look();
    else if (buffer.room === 0) await delay(FULL_TICK_MS);
    else await pullOnce();
  }
  // When the whole mesh stops, gateways first, this leaves nothing uncounted in the stream.
  const until = performance.now() + LAST_PULLS_MS_MAX;
  const canPull = () =>
    performance.now() < until &&
    watch.isConnected &&
    isSure &&
    stores.disagreement === undefined &&
    !stores.isDatabaseAway &&
    buffer.room > 0;
  while (canPull() && (await pull(LAST_PULL_EXPIRES_MS)) === 'full');
}
