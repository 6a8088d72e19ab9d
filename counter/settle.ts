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
import type { Log } from '../telemetry/log.ts';

const PROGRESS = '+WPI';
const ACK = '+ACK';

/** Acks at once; more would keep the broker from noticing what must be delivered again. */
const ACKS_AT_ONCE = 256;
const TICK_MS = 500;
/** Before the broker would deliver a message again. */
const MARGIN_MS = 2_000;

export interface SettleOptions {
  ackWaitMs: number;
  /** Purges what is proven and returns the settled floor. */
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
  /** Whether a delivery is of a message that is committed; if so its reply is the one to use. */
  owns: (sequence: number, reply: string) => boolean;
  /** Purges in the background; calls while one runs are one more. */
  settle: () => Promise<void>;
  /** Settles what is left: waits for the floor, then acknowledges the rest one by one. */
  finish: (waitMs: number) => Promise<void>;
  forget: () => void;
}

export function createSettler(options: SettleOptions): Settler {
  const { log } = options;
  const settled = new Map<number, SettledMessage>();
  let running: Promise<void> | undefined;
  const timer = setInterval(claimOrAck, TICK_MS);

  function add(messages: Iterable<{ sequence: number; reply: string; claimedAt: number }>): void {
    for (const { sequence, reply, claimedAt } of messages) {
      settled.set(sequence, { reply, claimedAt, claims: 0 });
    }
  }

  function owns(sequence: number, reply: string): boolean {
    const message = settled.get(sequence);
    if (message === undefined) return false;
    message.reply = reply;
    message.claimedAt = performance.now();
    return true;
  }

  function settle(): Promise<void> {
    running ??= purge().finally(() => (running = undefined));
    return running;
  }

  async function purge(): Promise<void> {
    try {
      const floor = await options.purge();
      for (const sequence of settled.keys()) if (sequence <= floor) settled.delete(sequence);
    } catch (error) {
      // Nothing is lost: the messages stay pending, and come again if need be.
      log.warn({ err: error }, 'settled messages could not be purged');
    }
  }

  function claimOrAck(): void {
    const dueAt = performance.now() - (options.ackWaitMs - MARGIN_MS);
    let acks = 0;
    for (const [sequence, message] of settled) {
      if (message.claimedAt > dueAt || acks >= ACKS_AT_ONCE) continue;
      if (message.claims === 0) {
        options.send(message.reply, PROGRESS);
        message.claims++;
        message.claimedAt = performance.now();
      } else {
        options.send(message.reply, ACK);
        settled.delete(sequence);
        acks++;
      }
    }
  }

  async function finish(waitMs: number): Promise<void> {
    clearInterval(timer);
    const until = performance.now() + waitMs;
    await settle();
    while (settled.size > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await settle();
    }
    for (const { reply } of settled.values()) options.send(reply, ACK);
    settled.clear();
  }

  return {
    get pending() {
      return settled.size;
    },
    add,
    owns,
    settle,
    finish,
    forget: () => settled.clear(),
  };
}
