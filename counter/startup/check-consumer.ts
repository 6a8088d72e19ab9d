import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { findDenial } from '../../nats/denials.ts';
import { isRefusal } from '../../nats/error-codes.ts';
import { findConsumerStop } from '../../nats/settings.ts';
import { ACK_WAIT_MARGIN_MS, ackWaitMs, COUNTER, INCREMENTS } from '../../nats/streams.ts';
import type { Stats } from '../telemetry/stats.ts';
import type { Log } from '../../telemetry/log.ts';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';

const RETRY_MS = 1_000;

/**
 * Waits for the consumer and returns its ack_wait in milliseconds. Waits too while that is so short that,
 * before each flush, the broker would deliver again what this counter service still holds.
 */
export async function readConsumerAckWait(
  manager: JetStreamManager,
  flushIntervalMs: number,
  { stats, log, signal }: { stats: Pick<Stats, 'consumerStop'>; log: Log; signal: AbortSignal },
): Promise<number> {
  const warn = throttleWarnings(log);
  for (;;) {
    try {
      const { config } = await manager.consumers.info(INCREMENTS, COUNTER);
      stats.consumerStop = undefined;
      const found = (config.ack_wait ?? 0) / 1e6;
      if (found >= ackWaitMs(flushIntervalMs)) return found;
      warn(
        `the consumer's ack_wait is ${found} ms, but FLUSH_INTERVAL_MS is ${flushIntervalMs}: ` +
          `it must be at least ${ACK_WAIT_MARGIN_MS} ms more. Provision the stream with this FLUSH_INTERVAL_MS; ` +
          'nothing is counted until then',
      );
    } catch (error) {
      if (isRefusal(error, 'no-consumer')) stats.consumerStop = findConsumerStop(undefined);
      const reason =
        error instanceof JetStreamApiError ? error.message : 'the broker does not answer';
      // A denial is logged wherever it comes from.
      if (findDenial(error) === undefined)
        warn(
          `the stream ${INCREMENTS} and its consumer are not there (${reason}): \`npm start\` or ` +
            '`npm run provision` makes them; trying again',
        );
    }
    await delay(RETRY_MS, undefined, { signal });
  }
}
