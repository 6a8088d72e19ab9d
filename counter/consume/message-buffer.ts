/*
 * The messages that a counter service holds. Each is in one state at a time and only moves forward:
 *   collecting  in the batch that deliveries are added to;
 *   flushing    in the batch that a transaction is writing, one batch at a time;
 *   committed   in the settler, until a purge removes it from the stream.
 * A batch that can't be flushed goes back to the broker and is dropped.
 */
import { performance } from 'node:perf_hooks';
import type { Delivery } from '../../nats/pull.ts';
import type { FlushClock } from './flush-clock.ts';
import { acceptMessage } from './accept-message.ts';
import { createFlushBatch, rowsOf, type HeldMessage, type FlushBatch } from './flush-batch.ts';
import type { Settler } from '../settle/settle.ts';

/**
 * Bodies, in bytes, that wait for the ledger; they are flushed at half of it. That is some 50 000
 * increments with their own keys, which a flush claims in about a second: more would be late.
 */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Messages of a newer version that are held; they are flushed at half of it. To park that many takes less
 * than a second, so that the increments beside them are in time.
 */
const NEWER_MAX = 10_000;

export interface MessageBufferOptions {
  messagesMax: number;
  keysMax: number;
  settler: Settler;
  brokerTimeMs: () => number;
  /** Called with the time from the making of a message to its storage, each by its own clock. */
  onSkew: (skewMs: number) => void;
  /** Whether the database has refused an increment of a key. */
  isSuspect: (key: string) => boolean;
  /** Whether there is no room to park messages of a newer version. */
  isParkingFull: () => boolean;
  /** Called with a sequence under which another message comes than the one that is held. */
  onReplaced: (sequence: number) => void;
}

export interface MessageBuffer {
  readonly collecting: FlushBatch;
  readonly messages: number;
  readonly keys: number;
  readonly oldestAgeMs: number;
  /** How many messages may be pulled; 0 if a limit is reached. */
  readonly room: number;
  /** When to flush the batch, for its age or its size, as a time of performance.now(). */
  dueAt: (clock: FlushClock) => number;
  /** @returns false for a message of a newer version that can't be parked, which is not held. */
  accept: (delivery: Delivery, reconnectedAtMs: number) => boolean;
  /** Starts a new batch and returns the one to flush. */
  startFlush: () => FlushBatch;
  endFlush: () => void;
  /** Messages whose ack_wait began before a time of performance.now(). */
  ackWaitBegunBefore: (time: number) => HeldMessage[];
  /** Drops the batch that is being collected and returns its messages. */
  dropCollecting: () => HeldMessage[];
}

export function createMessageBuffer(options: MessageBufferOptions): MessageBuffer {
  const { messagesMax, keysMax, settler, brokerTimeMs, onSkew, isSuspect, isParkingFull } = options;
  let collecting = createFlushBatch();
  let flushing: FlushBatch | undefined;

  function accept(delivery: Delivery, reconnectedAtMs: number): boolean {
    const { sequence, reply } = delivery;
    // After a crash the broker may deliver a held message again; only its reply subject is new.
    const held = collecting.messages.get(sequence) ?? flushing?.messages.get(sequence);
    if (held !== undefined) {
      if (held.storedAtMs !== delivery.storedAtMs) {
        options.onReplaced(sequence);
      } else {
        held.reply = reply;
        held.ackWaitFrom = performance.now();
      }
      return true;
    }
    if (settler.renew(sequence, reply)) return true;
    return acceptMessage(collecting, delivery, {
      reconnectedAtMs,
      brokerTimeMs,
      onSkew,
      isSuspect,
      isParkingFull,
      isBeingFlushed: (id) => flushing?.ids.has(id) ?? false,
    });
  }

  function isLarge({ messages, tally, bodyBytes, newer }: FlushBatch): boolean {
    return (
      messages.size >= messagesMax / 2 ||
      tally.size >= keysMax / 2 ||
      bodyBytes >= BODY_BYTES_MAX / 2 ||
      newer >= NEWER_MAX / 2
    );
  }

  function ackWaitBegunBefore(time: number): HeldMessage[] {
    const found: HeldMessage[] = [];
    for (const batch of [flushing, collecting]) {
      for (const message of batch?.messages.values() ?? []) {
        if (message.ackWaitFrom < time) found.push(message);
      }
    }
    return found;
  }

  return {
    get collecting() {
      return collecting;
    },
    get messages() {
      return collecting.messages.size + (flushing?.messages.size ?? 0);
    },
    get keys() {
      return collecting.tally.size + (flushing?.tally.size ?? 0);
    },
    get oldestAgeMs() {
      const oldest = Math.min(collecting.oldestEnteredAt, flushing?.oldestEnteredAt ?? Infinity);
      return oldest === Infinity ? 0 : performance.now() - oldest;
    },
    get room() {
      const isFull =
        this.keys >= keysMax ||
        collecting.bodyBytes + (flushing?.bodyBytes ?? 0) >= BODY_BYTES_MAX ||
        collecting.newer + (flushing?.newer ?? 0) >= NEWER_MAX;
      return isFull ? 0 : Math.max(0, messagesMax - this.messages);
    },
    dueAt: (clock) =>
      isLarge(collecting) ? 0 : collecting.oldestEnteredAt + clock.dueAgeMs(rowsOf(collecting)),
    accept,
    startFlush: () => {
      flushing = collecting;
      collecting = createFlushBatch();
      return flushing;
    },
    endFlush: () => {
      flushing = undefined;
    },
    ackWaitBegunBefore,
    dropCollecting: () => {
      const dropped = [...collecting.messages.values()];
      collecting = createFlushBatch();
      return dropped;
    },
  };
}
