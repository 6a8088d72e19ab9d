/*
 * Group commit: increments that wait together are stored together.
 *
 * A lane is a queue in front of the broker. What is submitted waits in it until one of the lane's
 * places is free; then as much as fits into one message leaves together, and each submission is
 * answered when the broker has acknowledged the message that holds it. There is no linger timer:
 * the acknowledgement's own latency is the window, so an idle mesh answers at once and a busy one
 * packs more.
 *
 * A submission is in one of three states, and moves forward only:
 *   waiting    in `queue`; not in any message. Expires with an error that says "not stored".
 *   in flight  in exactly one message, whose id never changes. It expires with an error that says
 *              "outcome unknown", since the broker may store the message later.
 *   answered   never packed again.
 */
import { performance } from 'node:perf_hooks';
import type { Publisher } from '../../nats/publisher.ts';
import { StreamFull } from '../../nats/publisher.ts';

export interface PublishQueueOptions<Item> {
  publisher: Publisher;
  subject: string;
  /** At most this many submissions share a message. */
  packMax: number;
  /** Messages under way at most, so that one hung publish does not spend everyone's time. */
  inFlightMax: number;
  /** A message leaves beside others only when the newest of them is this late. */
  lateMs: number;
  /** Submissions and bytes that may wait; more is refused at once. */
  waitingMax: number;
  waitingBytesMax: number;
  /** From submission to answer, at most. */
  deadlineMs: number;
  makeId: () => string;
  encode: (id: string, items: Item[]) => string;
  /** How many increments an item has. */
  count: (item: Item) => number;
  /** Reads the trace context that a submission is made in; left out where traces are off. */
  readOrigin?: () => string | undefined;
  /** Told of each message's fate, for metrics. */
  onPublished?: (pack: { increments: number; durationMs: number; error?: unknown }) => void;
}

export interface Receipt {
  /** The id of the message that holds the submission. */
  id: string;
  /** Its place in the stream. */
  sequence: number;
}

/** Why a submission was not stored, or may not have been. */
export class NotAccepted extends Error {
  override readonly name = 'NotAccepted';
  readonly code:
    | 'body-too-large'
    | 'stream-full'
    | 'too-many-waiting'
    | 'broker-unavailable'
    | 'outcome-unknown'
    | 'stopping';

  constructor(code: NotAccepted['code'], detail: string) {
    super(detail);
    this.code = code;
  }
}

export interface PublishQueue<Item> {
  readonly waiting: number;
  /**
   * @param bytes the length of the item once encoded.
   * @throws NotAccepted
   */
  submit: (item: Item, bytes: number) => Promise<Receipt>;
  /** Refuses new submissions and resolves when every earlier one is answered. */
  drain: () => Promise<void>;
}

interface Submission<Item> {
  item: Item;
  bytes: number;
  origin: string | undefined;
  /** A time of performance.now(). */
  expiresAt: number;
  resolve: (receipt: Receipt) => void;
  reject: (error: NotAccepted) => void;
}

export function createPublishQueue<Item>(options: PublishQueueOptions<Item>): PublishQueue<Item> {
  const { publisher } = options;
  const queue: Submission<Item>[] = [];
  let queueBytes = 0;
  const inFlight: Submission<Item>[][] = [];
  /** When the newest message in flight becomes late; a time of performance.now(). */
  let lateAt = 0;
  let lateTimer: NodeJS.Timeout | undefined;
  let isScheduled = false;
  let drained: Promise<void> | undefined;
  let expiryTimer: NodeJS.Timeout | undefined;
  let onIdle: (() => void) | undefined;

  publisher.onConnectionChange(schedule);

  function submit(item: Item, bytes: number): Promise<Receipt> {
    if (drained !== undefined) return Promise.reject(refusal('stopping'));
    if (queue.length >= options.waitingMax || queueBytes + bytes > options.waitingBytesMax) {
      return Promise.reject(refusal('too-many-waiting'));
    }
    return new Promise((resolve, reject) => {
      const expiresAt = performance.now() + options.deadlineMs;
      const origin = options.readOrigin?.();
      queue.push({ item, bytes, origin, expiresAt, resolve, reject });
      queueBytes += bytes;
      schedule();
    });
  }

  /** Packs once per turn of the event loop, so that requests read together leave together. */
  function schedule(): void {
    if (isScheduled || queue.length === 0) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      expire();
      while (queue.length > 0 && publisher.isConnected && hasPlace()) void publishPack(takePack());
      watchExpiry();
    });
  }

  function hasPlace(): boolean {
    if (inFlight.length === 0) return true;
    if (inFlight.length >= options.inFlightMax) return false;
    const earlyMs = lateAt - performance.now();
    if (earlyMs <= 0) return true;
    lateTimer ??= setTimeout(() => {
      lateTimer = undefined;
      schedule();
    }, Math.ceil(earlyMs));
    return false;
  }

  function takePack(): Submission<Item>[] {
    let count = 0;
    let bytes = 0;
    while (count < Math.min(queue.length, options.packMax)) {
      // One byte for the comma; the first always fits, since a request is far below the limit.
      bytes += (queue[count]?.bytes ?? 0) + 1;
      if (count > 0 && bytes > publisher.bodyBytesMax) break;
      count++;
    }
    return removeFromQueue(count);
  }

  async function publishPack(pack: Submission<Item>[]): Promise<void> {
    const startedAt = performance.now();
    const id = options.makeId();
    const body = options.encode(
      id,
      pack.map(({ item }) => item),
    );
    // The last has waited least: the message is worth storing for as long as one is not answered.
    const deadline = pack.at(-1)?.expiresAt ?? startedAt;
    let failure: unknown;
    inFlight.push(pack);
    lateAt = startedAt + options.lateMs;
    try {
      const { sequence } = await publisher.publish(
        {
          subject: options.subject,
          id,
          body,
          ...(options.readOrigin && { origins: pack.map(({ origin }) => origin) }),
        },
        deadline,
      );
      const receipt = { id, sequence };
      for (const submission of pack) submission.resolve(receipt);
    } catch (error) {
      failure = error;
      const reason = refusal(error instanceof StreamFull ? 'stream-full' : 'outcome-unknown');
      for (const submission of pack) submission.reject(reason);
    }
    inFlight.splice(inFlight.indexOf(pack), 1);
    options.onPublished?.({
      increments: pack.reduce((sum, { item }) => sum + options.count(item), 0),
      durationMs: performance.now() - startedAt,
      ...(failure !== undefined && { error: failure }),
    });
    schedule();
    settleIfIdle();
  }

  /** One timer for all: submissions expire in the order in which they came. */
  function watchExpiry(): void {
    if (expiryTimer !== undefined) return;
    const now = performance.now();
    let next = queue[0]?.expiresAt ?? Infinity;
    for (const pack of inFlight) {
      next = Math.min(next, pack.find(({ expiresAt }) => expiresAt > now)?.expiresAt ?? Infinity);
    }
    if (next === Infinity) return;
    const waitMs = Math.max(1, Math.ceil(next - now));
    expiryTimer = setTimeout(() => {
      expiryTimer = undefined;
      expire();
      watchExpiry();
    }, waitMs);
  }

  function expire(): void {
    const now = performance.now();
    let expired = 0;
    while ((queue[expired]?.expiresAt ?? Infinity) <= now) expired++;
    for (const submission of removeFromQueue(expired)) {
      submission.reject(refusal('broker-unavailable'));
    }
    for (const pack of inFlight) {
      for (const submission of pack) {
        // Submissions are in the order of their expiry; answering one again changes nothing.
        if (submission.expiresAt > now) break;
        submission.reject(refusal('outcome-unknown'));
      }
    }
    settleIfIdle();
  }

  function settleIfIdle(): void {
    if (inFlight.length === 0 && queue.length === 0) onIdle?.();
  }

  function removeFromQueue(count: number): Submission<Item>[] {
    const removed = queue.splice(0, count);
    for (const { bytes } of removed) queueBytes -= bytes;
    return removed;
  }

  function drain(): Promise<void> {
    drained ??= new Promise((resolve) => {
      onIdle = resolve;
      settleIfIdle();
    });
    return drained;
  }

  return {
    get waiting() {
      return queue.length;
    },
    submit,
    drain,
  };
}

const DETAILS = {
  'stream-full':
    'The stream is full until the counters have caught up. Nothing was stored; retry later.',
  'too-many-waiting':
    'Too many increments wait for the broker already. Nothing was stored; retry later.',
  'broker-unavailable':
    'The broker and its stream could not be reached in time. Nothing was stored; retry later.',
  'outcome-unknown':
    'The broker did not acknowledge in time, so the increment may or may not be counted. ' +
    'Retry with the same Idempotency-Key to have it counted once.',
  stopping: 'This gateway is stopping. Nothing was stored; retry at once on another connection.',
};

function refusal(code: keyof typeof DETAILS): NotAccepted {
  return new NotAccepted(code, DETAILS[code]);
}
