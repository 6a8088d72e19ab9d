/*
 * Settling: the broker may drop what the database has.
 *
 * To acknowledge a message of a work queue costs the broker an fsync each, a purge one for all. So a
 * committed message waits here until it is below the settled floor and a purge removes it, by this counter
 * service or another. While all of them are healthy, that is within one flush interval of its delivery.
 * Otherwise (one died, and holds the floor and the purges back until what it held is committed) its ack
 * deadline is extended once, and then it is acknowledged by itself.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { ACK, IN_PROGRESS } from '../../nats/acknowledgement.ts';
import type { Log } from '../../telemetry/log.ts';
import { throttleWarnings } from '../../telemetry/throttled-warning.ts';
import { StoresDisagree } from './compare-stores.ts';
import { createPendingAcks, type PendingAck } from './pending-acks.ts';

/** Acks at once; more would delay the broker's redeliveries. */
const ACKS_AT_ONCE = 256;
const TICK_MS = 500;
const SETTLE_SPACING_MS = 100;
/** How long before its ack deadline a message is due. */
const MARGIN_MS = 2_000;

export interface SettleOptions {
  ackWaitMs: number;
  /** Purges what is proven, if it may. @returns through which sequence. @throws if the stream is another one. */
  purge: () => Promise<number>;
  /** Publishes to an acknowledgement's reply subject. */
  send: (reply: string, kind: string) => void;
  log: Log;
}

export interface Settler {
  /** Committed messages that the broker still has as unacknowledged. */
  readonly pending: number;
  /** Takes over messages whose transaction is committed. */
  add: (messages: Iterable<PendingAck>) => void;
  has: (sequence: number) => boolean;
  /** Takes the reply subject of another delivery. @returns false if the message is not pending. */
  renew: (sequence: number, reply: string) => boolean;
  /** Purges what is proven, if it may. @returns false if that failed. Concurrent calls share one run. */
  settle: () => Promise<boolean>;
  /** Settles what is left: waits for the floor, then acknowledges the rest one by one. */
  finish: (waitMs: number) => Promise<void>;
}

export function createSettler({ ackWaitMs, purge, send, log }: SettleOptions): Settler {
  const pending = createPendingAcks(ackWaitMs - MARGIN_MS);
  const warn = throttleWarnings(log);
  let running: Promise<boolean> | undefined;
  /** Runs only while something is pending. */
  let timer: NodeJS.Timeout | undefined;

  function add(messages: Iterable<PendingAck>): void {
    pending.add(messages);
    if (pending.size > 0) timer ??= setInterval(() => void handleDue(), TICK_MS);
  }

  function settle(): Promise<boolean> {
    running ??= purgeProven().finally(() => (running = undefined));
    return running;
  }

  async function purgeProven(): Promise<boolean> {
    try {
      pending.removeThrough(await purge());
      return true;
    } catch (error) {
      // Nothing is lost: the messages stay pending, or are delivered again.
      // Where the stores disagree, that is said already.
      if (!(error instanceof StoresDisagree)) {
        warn(`settled messages could not be purged: ${(error as Error).message}; trying again`);
      }
      return false;
    }
  }

  async function handleDue(): Promise<void> {
    if (pending.size === 0) stopTimer();
    const { toExtend, overdue } = pending.due(performance.now());
    for (const { reply } of toExtend) send(reply, IN_PROGRESS);
    if (overdue.length === 0) return;
    // An acknowledgement does not name its stream, so the stream is checked first.
    const isSameStream = await settle();
    const sequences = overdue.slice(0, ACKS_AT_ONCE).map(({ sequence }) => sequence);
    if (isSameStream) acknowledge(pending.take(sequences));
  }

  function acknowledge(messages: PendingAck[]): void {
    for (const { reply } of messages) send(reply, ACK);
  }

  function stopTimer(): void {
    clearInterval(timer);
    timer = undefined;
  }

  async function finish(waitMs: number): Promise<void> {
    stopTimer();
    const until = performance.now() + waitMs;
    let isSameStream = await settle();
    while (pending.size > 0 && performance.now() < until) {
      await delay(SETTLE_SPACING_MS);
      isSameStream = await settle();
    }
    if (isSameStream) acknowledge(pending.takeAll());
  }

  return {
    get pending() {
      return pending.size;
    },
    add,
    has: pending.has,
    renew: (sequence, reply) => pending.renew(sequence, reply, performance.now()),
    settle,
    finish,
  };
}
