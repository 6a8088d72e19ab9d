/*
 * The state of group commit, without a clock, a timer or a broker.
 *
 * A submission moves forward only:
 *   waiting    in no message yet. When its time is up, it was certainly not stored.
 *   in flight  in exactly one message, whose id never changes. When its time is up, the outcome is
 *              unknown, since the broker may still store the message.
 *   answered   never packed again.
 */

/** All times are those of performance.now(). */
export interface Submission {
  /** The length of the encoded item. */
  bytes: number;
  expiresAt: number;
}

export interface SubmissionQueueOptions {
  /** How many submissions and bytes may wait. */
  waitingMax: number;
  waitingBytesMax: number;
  /** At most this many submissions share a message. */
  packMax: number;
  /** Messages in flight at most. Above 1, a publish that hangs does not use up everyone's time. */
  inFlightMax: number;
  /** Another message leaves only when the newest in flight has been under way for this long. */
  lateMs: number;
  /**
   * How often `take` may wait for the clients that were answered last: most come back at once, and a message
   * costs the broker the same whatever is in it.
   */
  holdTurns: number;
}

/** Submissions that share a message, oldest first. */
export type Pack<Item extends Submission> = Item[];

export interface SubmissionQueue<Item extends Submission> {
  readonly waiting: number;
  /** Whether every submission is answered or expired, and no message is in flight. */
  readonly isIdle: boolean;
  /** Whether `take` waits for more, and is to be called again in the next turn of the event loop. */
  readonly isHolding: boolean;
  /** @returns false if too much is waiting. */
  add: (submission: Item) => boolean;
  /** Takes what fits into one message; undefined if nothing waits or no slot is free. */
  take: (now: number, packBytesMax: number) => Pack<Item> | undefined;
  /** Frees the slot of a message that was acknowledged or failed. */
  finish: (pack: Pack<Item>) => void;
  /** Removes what has expired. Each submission is returned once at most. */
  expire: (now: number) => { notStored: Item[]; outcomeUnknown: Item[] };
  /**
   * When `expire`, or `take` while messages can be sent, will have something to do. Infinity if only an
   * event can change that.
   */
  wakeAt: (canSend: boolean) => number;
}

interface Flight<Item extends Submission> {
  pack: Pack<Item>;
  /** How many of the pack have expired; they are the oldest. */
  expired: number;
}

/** Of the clients that were answered last; the others may never come back. */
const RETURNING = 0.9;

export function createSubmissionQueue<Item extends Submission>(
  options: SubmissionQueueOptions,
): SubmissionQueue<Item> {
  const { waitingMax, waitingBytesMax, packMax, inFlightMax, lateMs, holdTurns } = options;
  const queue: Item[] = [];
  const inFlight: Flight<Item>[] = [];
  let queuedBytes = 0;
  /** When the newest message in flight becomes late. */
  let lateAt = 0;
  /** The size of the message that ended last. */
  let answered = 0;
  let turnsHeld = 0;

  function add(submission: Item): boolean {
    const isFull = queue.length >= waitingMax || queuedBytes + submission.bytes > waitingBytesMax;
    if (isFull) return false;
    queue.push(submission);
    queuedBytes += submission.bytes;
    return true;
  }

  function take(now: number, packBytesMax: number): Pack<Item> | undefined {
    if (queue.length === 0 || slotFreeAt() > now) return undefined;
    if (isWorthWaiting()) {
      turnsHeld++;
      return undefined;
    }
    turnsHeld = 0;
    let count = 0;
    let bytes = 0;
    while (count < Math.min(queue.length, packMax)) {
      // One byte for the comma. The first always fits: a request is far below the limit.
      bytes += queue[count]!.bytes + 1;
      if (count > 0 && bytes > packBytesMax) break;
      count++;
    }
    const pack = removeOldest(count);
    inFlight.push({ pack, expired: 0 });
    lateAt = now + lateMs;
    return pack;
  }

  function finish(pack: Pack<Item>): void {
    const index = inFlight.findIndex((flight) => flight.pack === pack);
    if (index === -1) return;
    inFlight.splice(index, 1);
    answered = pack.length;
  }

  /** Only while no message is under way: the others wait for that one anyway. */
  function isWorthWaiting(): boolean {
    const isExpecting = queue.length < Math.floor(answered * RETURNING);
    return isExpecting && turnsHeld < holdTurns && inFlight.length === 0;
  }

  /** Submissions expire in the order in which they came, so each list is checked from its front. */
  function expire(now: number): { notStored: Item[]; outcomeUnknown: Item[] } {
    let count = 0;
    while (count < queue.length && queue[count]!.expiresAt <= now) count++;
    const outcomeUnknown: Item[] = [];
    for (const flight of inFlight) {
      while ((oldestOf(flight)?.expiresAt ?? Infinity) <= now) {
        outcomeUnknown.push(oldestOf(flight)!);
        flight.expired++;
      }
    }
    return { notStored: removeOldest(count), outcomeUnknown };
  }

  function wakeAt(canSend: boolean): number {
    const firstInFlight = inFlight.map((flight) => oldestOf(flight)?.expiresAt ?? Infinity);
    // While it is held, `take` is called in the next turn anyway.
    const slotAt = canSend && queue.length > 0 && turnsHeld === 0 ? slotFreeAt() : Infinity;
    return Math.min(queue[0]?.expiresAt ?? Infinity, slotAt, ...firstInFlight);
  }

  function slotFreeAt(): number {
    if (inFlight.length === 0) return -Infinity;
    return inFlight.length < inFlightMax ? lateAt : Infinity;
  }

  function removeOldest(count: number): Item[] {
    const removed = queue.splice(0, count);
    for (const { bytes } of removed) queuedBytes -= bytes;
    return removed;
  }

  return {
    get waiting() {
      return queue.length;
    },
    get isIdle() {
      return queue.length === 0 && inFlight.length === 0;
    },
    get isHolding() {
      return turnsHeld > 0;
    },
    add,
    take,
    finish,
    expire,
    wakeAt,
  };
}

/** The oldest submission of a message that has not expired. */
function oldestOf<Item extends Submission>({ pack, expired }: Flight<Item>): Item | undefined {
  return pack[expired];
}
