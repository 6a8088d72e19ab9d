import type { JetStreamManager } from '@nats-io/jetstream';
import type { ConnectionWatch } from '../../nats/connect.ts';
import {
  describeFault,
  findConsumerFaults,
  findStreamFaults,
  type SettingFault,
} from '../../nats/settings.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Stats } from '../telemetry/stats.ts';

/** Anyone with rights may change a setting at any time; what the stream then loses is not seen otherwise. */
const LOOK_MS = 15_000;

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
  let said = new Map<string, SettingFault>();

  async function look(): Promise<void> {
    if (!watch.isConnected) return;
    try {
      const { config } = await manager.streams.info(INCREMENTS);
      const consumer = await manager.consumers.info(INCREMENTS, COUNTER);
      say([...findStreamFaults(config), ...findConsumerFaults(consumer, ackWaitMsMin)]);
    } catch (error) {
      log.debug({ err: error }, 'the settings of the stream could not be read');
    }
  }

  function say(faults: SettingFault[]): void {
    const found = new Map(faults.map((fault) => [describeFault(fault), fault]));
    for (const text of found.keys()) if (!said.has(text)) log.error(text);
    for (const [text, { of, name }] of said) {
      if (!found.has(text)) log.info(`${of}: ${name} has changed again`);
    }
    said = found;
    stats.settingsSeen(faults);
  }

  const timer = setInterval(() => void look(), LOOK_MS);
  void look();
  return () => clearInterval(timer);
}
