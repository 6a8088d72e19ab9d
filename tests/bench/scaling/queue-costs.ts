import { PACK_INCREMENTS_MAX } from '../../../schema/message/envelope.ts';
import { prices, slowness, stream } from './measured.ts';
import type { QueueCosts } from './simulate-queues.ts';

/** One broker on the machine of docs/benchmarks.md stored 5 255 messages of one increment a second. */
export const MESSAGE_MS = 1_000 / 5_255;

/**
 * @param messageMs how long one message takes a single broker, its sync included, on average.
 * @param scale how much slower the machine is than that of docs/benchmarks.md.
 */
export function queueCosts(messageMs: number, scale: number, networkMs: number): QueueCosts {
  const mean = stream.syncMs.reduce((sum, each) => sum + each, 0) / stream.syncMs.length;
  const ms = (microseconds: number) => (microseconds * scale) / 1_000;
  return {
    // By profile, more than half of a request's CPU is spent before it is published.
    gateway: {
      acceptMs: ms(prices.gateway.request * 0.6),
      answerMs: ms(prices.gateway.request * 0.4),
      publishMs: ms(prices.gateway.message),
    },
    leader: {
      messageMs: 0,
      incrementMs: (incrementMsOfStream() / slowness) * scale,
      // What each of three brokers does more than a single one.
      logMs: ms(Math.max(0, prices.threeBrokers.message / 3 - prices.oneBroker.message)),
    },
    syncMs: stream.syncMs.map((each) => (each / mean) * messageMs),
    networkMs,
  };
}

/** How much longer a larger message takes a single broker. */
export function incrementMsOfStream(): number {
  const full = messageMsOfStream(PACK_INCREMENTS_MAX);
  return Math.max(0, full - messageMsOfStream(1)) / (PACK_INCREMENTS_MAX - 1);
}

/** One after the other, while the machine was as slow as then. */
export function messageMsOfStream(pack: number): number {
  const run = stream.runs.find((each) => each.brokers === 1 && each.pack === pack);
  if (run === undefined) throw new Error(`stream-limit.json has no run of ${pack} in a message`);
  return (run.seconds / run.messages) * 1_000;
}
