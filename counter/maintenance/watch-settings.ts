import type { JetStreamManager } from '@nats-io/jetstream';
import { isRefusal } from '../../nats/error-codes.ts';
import type { ConnectionWatch } from '../../nats/connect.ts';
import {
  describeFault,
  findConsumerFaults,
  findConsumerStop,
  findStreamFaults,
  NO_CONSUMER,
  type SettingFault,
} from '../../nats/settings.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Stats } from '../telemetry/stats.ts';

/** Anyone with rights may change a setting at any time; what the stream then loses is not seen otherwise. */
const LOOK_MS = 5_000;

export interface SettingsWatchOptions {
  manager: JetStreamManager;
  watch: ConnectionWatch;
  /** The shortest ack_wait that leaves time for a flush. */
  ackWaitMsMin: number;
  stats: Stats;
  log: Log;
}

/**
 * Compares the settings of stream and consumer with those that the promises rest on, while the service runs.
 * Says each that is wrong once, and once when it is right again.
 *
 * @returns a function that stops it.
 */
export function watchSettings(options: SettingsWatchOptions): () => void {
  const { manager, watch, ackWaitMsMin, stats, log } = options;
  /** What is wrong, and the line for when it is right again. */
  let said = new Map<string, string>();

  async function look(): Promise<void> {
    if (!watch.isConnected) return;
    try {
      const { config } = await manager.streams.info(INCREMENTS);
      const consumer = await manager.consumers.info(INCREMENTS, COUNTER).catch(ignoreMissing);
      const ofConsumer = consumer && findConsumerFaults(consumer, ackWaitMsMin);
      const faults = [...findStreamFaults(config), ...(ofConsumer ?? [])];
      stats.settingsSeen(faults);
      stats.consumerStop = findConsumerStop(ofConsumer);
      say(faults, ofConsumer === undefined);
    } catch (error) {
      log.debug({ err: error }, 'the settings of the stream could not be read');
    }
  }

  function say(faults: SettingFault[], isConsumerMissing: boolean): void {
    const found = new Map(
      faults.map((fault) => [describeFault(fault), `${fault.of}: ${fault.name} has changed again`]),
    );
    if (isConsumerMissing) found.set(NO_CONSUMER, `the consumer ${COUNTER} is there again`);
    for (const text of found.keys()) if (!said.has(text)) log.error(text);
    for (const [text, isOver] of said) if (!found.has(text)) log.info(isOver);
    said = found;
  }

  const timer = setInterval(() => void look(), LOOK_MS);
  void look();
  return () => clearInterval(timer);
}

function ignoreMissing(error: unknown): undefined {
  if (!isRefusal(error, 'no-consumer')) throw error;
}
