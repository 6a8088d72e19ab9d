/*
 * Settling: telling the broker what the database has proven.
 *
 * Each acknowledgement of a work-queue message costs the broker an fsync, a purge costs one for
 * all. So a committed message waits here until it is below the settled floor and goes with a purge,
 * this counter's or another's: with all counters healthy that is within one flush interval of its
 * delivery. Only where that does not happen (another counter died and holds the floor back until
 * ack_wait) it is first claimed again and in the end acknowledged by itself.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../telemetry/log.ts';

const PROGRESS = '+WPI';
const ACK = '+ACK';

/** Acks at once; more would keep the broker from noticing what must be delivered again. */
const ACKS_AT_ONCE = 256;
const TICK_MS = 500;
const SETTLE_SPACING_MS = 100;
/** Before the broker would deliver a message again. */
const MARGIN_MS = 2_000;

export interface SettleOptions {
  ackWaitMs: number;
  /** Purges what is proven and returns the settled floor; throws where the stream is another. */
  purge: () => Promise<number>;
  send: (reply: string, kind: string) => void;
  log: Log;
}

interface SettledMessage {
  reply: string;
  claimedAt: number;
  claims: number;
}

export interface Settler {
  /** Committed messages that the broker still has as pending. */
  readonly pending: number;
  /** Takes over messages whose transaction is committed. */
  add: (messages: Iterable<{ sequence: number; reply: string; claimedAt: number }>) => void;
  has: (sequence: number) => boolean;
  /** Takes the reply of another delivery of a committed message; false where it is not one. */
  renew: (sequence: number, reply: string) => boolean;
  /** Purges what is proven; false where that failed. Calls while one runs share its outcome. */
  settle: () => Promise<boolean>;
  /** Settles what is left: waits for the floor, then acknowledges the rest one by one. */
  finish: (waitMs: number) => Promise<void>;
}

export function createSettler(options: SettleOptions): Settler {
  const { log } = options;
  const settled = new Map<number, SettledMessage>();
  let running: Promise<boolean> | undefined;
  /** Only while there is something to attend to. */
  let timer: NodeJS.Timeout | undefined;

  function add(messages: Iterable<{ sequence: number; reply: string; claimedAt: number }>): void {
    for (const { sequence, reply, claimedAt } of messages) {
      settled.set(sequence, { reply, claimedAt, claims: 0 });
    }
    timer ??= setInterval(() => void attend(), TICK_MS);
  }

  function renew(sequence: number, reply: string): boolean {
    const message = settled.get(sequence);
    if (message === undefined) return false;
    message.reply = reply;
    message.claimedAt = performance.now();
    return true;
  }

  function settle(): Promise<boolean> {
    running ??= purge().finally(() => (running = undefined));
    return running;
  }

  async function purge(): Promise<boolean> {
    try {
      const floor = await options.purge();
      for (const sequence of settled.keys()) if (sequence <= floor) settled.delete(sequence);
      return true;
    } catch (error) {
      // Nothing is lost: the messages stay pending, and come again if need be.
      log.warn({ err: error }, 'settled messages could not be purged');
      return false;
    }
  }

  /** Claims what is due for the first time, and acknowledges what is due again. */
  async function attend(): Promise<void> {
    if (settled.size === 0) stopAttending();
    const dueAt = performance.now() - (options.ackWaitMs - MARGIN_MS);
    const overdue: number[] = [];
    for (const [sequence, message] of settled) {
      if (message.claimedAt > dueAt) continue;
      if (message.claims > 0) overdue.push(sequence);
      else {
        options.send(message.reply, PROGRESS);
        message.claims++;
        message.claimedAt = performance.now();
      }
    }
    if (overdue.length === 0) return;
    // An acknowledgement does not say of which stream it is, so the stream is looked at first.
    if (await settle()) acknowledge(overdue.slice(0, ACKS_AT_ONCE));
  }

  function stopAttending(): void {
    clearInterval(timer);
    timer = undefined;
  }

  function acknowledge(sequences: Iterable<number>): void {
    for (const sequence of sequences) {
      const message = settled.get(sequence);
      if (message === undefined) continue;
      options.send(message.reply, ACK);
      settled.delete(sequence);
    }
  }

  async function finish(waitMs: number): Promise<void> {
    stopAttending();
    const until = performance.now() + waitMs;
    let isSameStream = await settle();
    while (settled.size > 0 && performance.now() < until) {
      await delay(SETTLE_SPACING_MS);
      isSameStream = await settle();
    }
    if (isSameStream) acknowledge([...settled.keys()]);
  }

  return {
    get pending() {
      return settled.size;
    },
    add,
    has: (sequence) => settled.has(sequence),
    renew,
    settle,
    finish,
  };
}
