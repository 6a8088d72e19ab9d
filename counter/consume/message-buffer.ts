/*
 * What a counter holds. A delivered message is in one place at a time and moves forward only:
 *   collecting  the load that deliveries go into;
 *   flushing    the load that a transaction is being made of, one at a time;
 *   settled     committed, and waiting in the settler to be purged.
 * A load that can't be flushed is given back to the broker and forgotten.
 */
import { performance } from 'node:perf_hooks';
import type { Delivery } from '../../nats/pull.ts';
import type { FlushClock } from './flush-clock.ts';
import { takeDelivery } from './accept-message.ts';
import { createLoad, type HeldMessage, type Load } from './flush-batch.ts';
import type { Settler } from '../settle/settle.ts';

/**
 * Bodies, in bytes, of messages that wait for the ledger's answer; at half of it they are flushed. Some
 * 50 000 increments with a key of their own, which a flush claims in about a second: more would be late.
 */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

export interface HoldingsOptions {
  messagesMax: number;
  keysMax: number;
  settler: Settler;
  /** Told how long after it was made a message was stored, as the two clocks have it. */
  onSkew: (skewMs: number) => void;
}

export interface Holdings {
  readonly collecting: Load;
  readonly messages: number;
  readonly keys: number;
  readonly oldestAgeMs: number;
  /** How many messages may be pulled; 0 where any bound is reached. */
  readonly room: number;
  /** When the load should be flushed, as a time of performance.now(): for its age or its size. */
  dueAt: (clock: FlushClock) => number;
  /** @returns false for a message of a newer version, which is not held. */
  take: (delivery: Delivery, suspectBeforeMs: number) => boolean;
  /** Begins a new load and returns the one that is to be flushed. */
  startFlush: () => Load;
  endFlush: () => void;
  /** Messages whose ack_wait began before a time of performance.now(). */
  claimedBefore: (time: number) => HeldMessage[];
  /** Forgets the load that is being collected and returns its messages. */
  dropCollecting: () => HeldMessage[];
}

export function createHoldings(options: HoldingsOptions): Holdings {
  const { messagesMax, keysMax, settler, onSkew } = options;
  let collecting = createLoad();
  let flushing: Load | undefined;

  function take(delivery: Delivery, suspectBeforeMs: number): boolean {
    const { sequence, reply } = delivery;
    // The broker may have crashed and forgotten that it delivered this; only its address is new.
    const held = collecting.messages.get(sequence) ?? flushing?.messages.get(sequence);
    if (held !== undefined) {
      held.reply = reply;
      held.claimedAt = performance.now();
      return true;
    }
    if (settler.renew(sequence, reply)) return true;
    return takeDelivery(collecting, delivery, {
      suspectBeforeMs,
      onSkew,
      isHeldElsewhere: (id) => flushing?.ids.has(id) ?? false,
    });
  }

  function isLarge({ messages, tally, bodyBytes }: Load): boolean {
    return (
      messages.size >= messagesMax / 2 ||
      tally.size >= keysMax / 2 ||
      bodyBytes >= BODY_BYTES_MAX / 2
    );
  }

  function claimedBefore(time: number): HeldMessage[] {
    const found: HeldMessage[] = [];
    for (const load of [flushing, collecting]) {
      for (const message of load?.messages.values() ?? []) {
        if (message.claimedAt < time) found.push(message);
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
      const oldest = Math.min(collecting.oldestBornAt, flushing?.oldestBornAt ?? Infinity);
      return oldest === Infinity ? 0 : performance.now() - oldest;
    },
    get room() {
      const isFull =
        this.keys >= keysMax || collecting.bodyBytes + (flushing?.bodyBytes ?? 0) >= BODY_BYTES_MAX;
      return isFull ? 0 : Math.max(0, messagesMax - this.messages);
    },
    dueAt: (clock) => (isLarge(collecting) ? 0 : collecting.oldestBornAt + clock.dueAgeMs()),
    take,
    startFlush: () => {
      flushing = collecting;
      collecting = createLoad();
      return flushing;
    },
    endFlush: () => {
      flushing = undefined;
    },
    claimedBefore,
    dropCollecting: () => {
      const dropped = [...collecting.messages.values()];
      collecting = createLoad();
      return dropped;
    },
  };
}
