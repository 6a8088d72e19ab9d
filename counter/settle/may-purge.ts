/*
 * When the stream may be purged.
 *
 * A message whose ack_wait is over waits in a queue of the broker until somebody pulls it. At each purge
 * nats-server empties that queue, and offers what was in it only after a second ack_wait
 * (docs/nats-server-redelivery.md). So nothing is purged while an unsettled message may be in that queue:
 * from shortly before the first message of a dead counter service comes again until all of them are
 * committed. That costs little: they are holes, beyond which nothing could be purged anyway.
 */

export interface PurgeSituation {
  /** The end of the unbroken run of settled sequences; the first hole is the next one. */
  floor: number;
  /** No sequence above this one was delivered yet. */
  deliveredThrough: number;
  /** How long ago, by the broker's clock, the oldest message of the stream was stored. */
  oldestAgeMs: number;
  /** The lowest sequence that came here for the first time within `redeliveryMs`; undefined if none did. */
  recentSequence: number | undefined;
  /** How long purges have been postponed. */
  postponedMs: number;
}

export interface PurgeLimits {
  /** No message is delivered again sooner than this after its delivery. */
  redeliveryMs: number;
  /** Purges are postponed no longer than this. */
  postponedMsMax: number;
}

export function mayPurge(situation: PurgeSituation, limits: PurgeLimits): boolean {
  const { floor, deliveredThrough, oldestAgeMs, recentSequence, postponedMs } = situation;
  // There is no hole: whatever was delivered is settled.
  if (floor >= deliveredThrough) return true;
  // No hole was stored long enough ago to be delivered again.
  if (oldestAgeMs < limits.redeliveryMs) return true;
  // A backlog of old messages. First deliveries come in the order of the sequences, so the first hole and
  // all above it were delivered after this one.
  if (recentSequence !== undefined && recentSequence <= floor) return true;
  // There are always old holes, as where one counter service after another dies.
  return postponedMs >= limits.postponedMsMax;
}
