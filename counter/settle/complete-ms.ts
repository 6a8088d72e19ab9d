import type { ClusterInfo, StreamConfig } from '@nats-io/jetstream';
import { millis } from '@nats-io/transport-node';

/** What a broker says of a stream, and how long its answer took. */
export interface StreamAnswer {
  /** The broker's time of the answer, in milliseconds since 1970. */
  brokerMs: number;
  elapsedMs: number;
  /** Absent from a server that runs alone. */
  cluster: ClusterInfo | undefined;
  config: Pick<StreamConfig, 'num_replicas'>;
}

/**
 * Pure: the time of the broker before which everything that was acknowledged is in the answer, in
 * milliseconds since 1970. That is when it was asked, at the earliest; of replicas, when so many followers
 * last spoke to this leader that no other one can have stored anything before. A leader that was cut off
 * answers for some seconds as if nothing had changed.
 *
 * @returns undefined where a leader has not heard from enough followers.
 */
export function findCompleteMs(answer: StreamAnswer): number | undefined {
  const { brokerMs, elapsedMs, cluster, config } = answer;
  const askedMs = Math.floor(brokerMs - elapsedMs);
  const needed = Math.floor(config.num_replicas / 2);
  if (needed === 0) return askedMs;
  const silences = (cluster?.replicas ?? [])
    // Zero is what a new leader says of one that it has not heard from.
    .filter(({ active, offline }) => active > 0 && !offline)
    .map(({ active }) => millis(active))
    .toSorted((left, right) => left - right);
  const silenceMs = silences[needed - 1];
  return silenceMs === undefined ? undefined : askedMs - Math.ceil(silenceMs);
}
