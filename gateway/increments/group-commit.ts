/*
 * Group commit: increments that wait together are stored together.
 *
 * A submission waits until a slot for a message is free. Then as many as fit into one message leave
 * together, and each is answered when the broker has acknowledged the message that holds it. There is no
 * linger timer: submissions gather while an acknowledgement is awaited, so an idle mesh answers at once and
 * a busy one packs more.
 *
 * submission-queue.ts keeps what waits and what is in flight; here are the clock, the timer and the broker.
 */
import { performance } from 'node:perf_hooks';
import type { Span } from '@opentelemetry/api';
import { NothingStored, type Publisher } from '../../nats/publisher.ts';
import { notAccepted, refusedBy, type NotAccepted } from './not-accepted.ts';
import {
  createSubmissionQueue,
  type Pack,
  type Submission,
  type SubmissionQueueOptions,
} from './submission-queue.ts';

export interface GroupCommitOptions<Item> extends SubmissionQueueOptions {
  publisher: Publisher;
  subject: string;
  /** The longest time from submission to answer. */
  deadlineMs: number;
  makeId: () => string;
  encode: (id: string, items: Item[]) => string;
  /** How many increments an item has. */
  count: (item: Item) => number;
  /** Finds the span of the request that submits; absent if traces are off. */
  readOrigin?: () => Span | undefined;
  /** Called with the outcome of each message, for metrics. */
  onPublished?: (message: PublishedMessage) => void;
}

export interface PublishedMessage {
  increments: number;
  durationMs: number;
  /** Why it was not stored, or may not have been. */
  error?: unknown;
}

export interface Receipt {
  /** The id of the message that holds the submission. */
  id: string;
  /** Its position in the stream. */
  sequence: number;
}

export interface GroupCommit<Item> {
  readonly waiting: number;
  /**
   * Resolves when the item is on the broker's disk.
   *
   * @param bytes the length of the encoded item.
   * @throws NotAccepted
   */
  submit: (item: Item, bytes: number) => Promise<Receipt>;
  /** Refuses new submissions and resolves when every earlier one is answered. */
  drain: () => Promise<void>;
}

interface WaitingItem<Item> extends Submission {
  item: Item;
  origin: Span | undefined;
  resolve: (receipt: Receipt) => void;
  reject: (error: NotAccepted) => void;
}

export function createGroupCommit<Item>(options: GroupCommitOptions<Item>): GroupCommit<Item> {
  const { publisher } = options;
  const queue = createSubmissionQueue<WaitingItem<Item>>(options);
  const drained = Promise.withResolvers<void>();
  let isDraining = false;
  /** Answers of messages that have ended; they are given once the next message is under way. */
  const answers: (() => void)[] = [];
  let isScheduled = false;
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Infinity;

  publisher.onConnectionChange(schedule);

  function submit(item: Item, bytes: number): Promise<Receipt> {
    if (isDraining) return Promise.reject(notAccepted('stopping'));
    return new Promise((resolve, reject) => {
      const expiresAt = performance.now() + options.deadlineMs;
      const origin = options.readOrigin?.();
      if (queue.add({ item, bytes, origin, expiresAt, resolve, reject })) schedule();
      else reject(notAccepted('too-many-waiting'));
    });
  }

  /** Packs once in a turn of the event loop, so that requests that arrive together leave together. */
  function schedule(): void {
    if (isScheduled || isDone()) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      work();
    });
  }

  function work(): void {
    const now = performance.now();
    const { notStored, outcomeUnknown } = queue.expire(now);
    for (const { reject } of notStored) reject(notAccepted('broker-unavailable'));
    for (const { reject } of outcomeUnknown) reject(notAccepted('outcome-unknown'));
    while (publisher.isConnected) {
      const pack = queue.take(now, publisher.bodyBytesMax);
      if (pack === undefined) break;
      void publish(pack);
    }
    for (const answer of answers.splice(0)) answer();
    if (queue.isHolding && publisher.isConnected) schedule();
    setTimer(now);
    if (isDraining && isDone()) drained.resolve();
  }

  function isDone(): boolean {
    return queue.isIdle && answers.length === 0;
  }

  /** A timer that fires too early does no harm, so it is replaced only if it would fire too late. */
  function setTimer(now: number): void {
    const wakeAt = queue.wakeAt(publisher.isConnected);
    if (wakeAt >= timerAt) return;
    clearTimeout(timer);
    timerAt = wakeAt;
    timer = setTimeout(onTimer, Math.ceil(wakeAt - now)).unref();
  }

  function onTimer(): void {
    timerAt = Infinity;
    work();
  }

  async function publish(pack: Pack<WaitingItem<Item>>): Promise<void> {
    const startedAt = performance.now();
    const id = options.makeId();
    const items = pack.map(({ item }) => item);
    const message = {
      subject: options.subject,
      id,
      body: options.encode(id, items),
      ...(options.readOrigin && { origins: pack.map(({ origin }) => origin) }),
    };
    // The deadline of the newest: the message is worth storing as long as one of them is not answered.
    const deadline = pack.at(-1)!.expiresAt;
    let failure: unknown;
    try {
      const { sequence } = await publisher.publish(message, deadline);
      const receipt = { id, sequence };
      answers.push(() => {
        for (const { resolve } of pack) resolve(receipt);
      });
    } catch (error) {
      failure = error;
      const reason =
        error instanceof NothingStored ? refusedBy(error.failure) : notAccepted('outcome-unknown');
      answers.push(() => {
        for (const { reject } of pack) reject(reason);
      });
    }
    queue.finish(pack);
    options.onPublished?.({
      increments: items.reduce((sum, item) => sum + options.count(item), 0),
      durationMs: performance.now() - startedAt,
      ...(failure !== undefined && { error: failure }),
    });
    schedule();
  }

  function drain(): Promise<void> {
    isDraining = true;
    if (isDone()) drained.resolve();
    return drained.promise;
  }

  return {
    get waiting() {
      return queue.waiting;
    },
    submit,
    drain,
  };
}
