import { performance } from 'node:perf_hooks';
import type { JetStreamManager } from '@nats-io/jetstream';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';

/** As rare as for other messages that wait in the stream; provisioning makes the consumer again. */
const WITHHELD_DELAY_MS = 60_000;
const ONCE_MORE_MS = 1_000;

/**
 * Tells whether a delivery has no body because somebody has set `headers_only` for the consumer: its
 * increments can be counted later. Otherwise its publisher wrote the header by which that is known, and it is
 * malformed, and never counted.
 *
 * The consumer may be set right between the delivery and the look, so a delivery is believed to be malformed
 * only if the consumer was seen to deliver bodies before it, and after it.
 *
 * @returns a function of the time of the delivery, in those of `performance.now()`, that tells after how many
 * milliseconds it is to be delivered again; undefined where it is malformed.
 */
export function createWithheldBodies(
  manager: JetStreamManager,
): (receivedAt: number) => Promise<number | undefined> {
  let seenWholeSince = Infinity;
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;

  /** Many deliveries share one look, which begins after each of them. */
  function look(): Promise<void> {
    next ??= running.then(() => {
      next = undefined;
      running = readSetting();
      return running;
    });
    return next;
  }

  async function readSetting(): Promise<void> {
    try {
      const { config } = await manager.consumers.info(INCREMENTS, COUNTER);
      const isWhole = config.headers_only !== true;
      seenWholeSince = isWhole ? Math.min(seenWholeSince, performance.now()) : Infinity;
    } catch {
      seenWholeSince = Infinity;
    }
  }

  return async (receivedAt) => {
    await look();
    if (seenWholeSince === Infinity) return WITHHELD_DELAY_MS;
    return receivedAt <= seenWholeSince ? ONCE_MORE_MS : undefined;
  };
}
