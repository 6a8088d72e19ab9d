/*
 * A buffer adds up increments by key and sends the sums in batches.
 *
 *   sums     what was added and is in no batch yet, the oldest key first
 *   batches  what was taken out of the sums: the first is under way. A batch keeps its increments and its
 *            idempotency key until it is stored, however often it is sent.
 *
 * What was added leaves the buffer only when the gateway has it on disk. So what cannot be sent stays, and when
 * the buffer is full add() throws.
 */
import { pauseMs } from './back-off.ts';
import { createBatchQueue } from './batch-queue.ts';
import { bufferClosed, bufferFull } from './buffer-errors.ts';
import { readBufferOptions, type BufferOptions } from './buffer-options.ts';
import type { Client } from './client.ts';
import type { IncrementMeshError } from './error.ts';
import { checkKey, readValue, type Increment } from './increment.ts';
import { sleep } from './send.ts';
import { addToSums, takeFromSums, type Sums } from './sums.ts';
import { createWaiters } from './waiters.ts';

export interface WaitOptions {
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
}

/** What is not known to be stored: send it with its idempotency key where it has one, within 24 hours. */
export interface Pending {
  increments: readonly Increment[];
  /** Undefined for what was never sent. */
  idempotencyKey: string | undefined;
}

export interface IncrementBuffer {
  /**
   * Adds to the sum of a key, at once.
   *
   * @throws IncrementMeshError, and nothing was added: `invalid-argument`, `buffer-full`, `buffer-closed` or
   * `idempotency-key-expired`.
   */
  add: (key: string, value: number | bigint) => void;
  /** Resolves when the buffer takes another key, for those who can wait. Rejects if it never will. */
  whenRoom: (options?: WaitOptions) => Promise<void>;
  /**
   * Sends what was added until now, and resolves when it is on disk. Rejects with the first error, after all the
   * attempts that the client makes; everything stays in the buffer, which goes on trying.
   */
  flush: (options?: WaitOptions) => Promise<void>;
  /**
   * Takes no more, and flushes. Where that fails it rejects, and the buffer stops sending: what is left is in
   * `pending()`, and another close() tries again.
   */
  close: (options?: WaitOptions) => Promise<void>;
  pending: () => Pending[];
}

/** A buffer in front of a client. Close it before the program ends. @throws IncrementMeshError */
export function createBuffer(
  client: Pick<Client, 'incrementMany'>,
  options: BufferOptions = {},
): IncrementBuffer {
  const { maxKeys, maxAgeMs, batchMax, onError } = readBufferOptions(options);
  const sums: Sums = new Map();
  const queue = createBatchQueue(client, { sums, increments: batchMax });
  const rooms = createWaiters();
  const flushes = createWaiters();
  /** Up to which of the keys that leave the sums all are due. */
  let dueThrough = 0;
  let ageTimer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | undefined;
  let isRunning = false;
  /** Ends the pause after an error, and an attempt where the buffer stops. */
  let pausing = new AbortController();
  let sending = new AbortController();
  let isClosed = false;
  let isStopped = false;
  let expired: IncrementMeshError | undefined;
  let lastError: IncrementMeshError | undefined;

  function held(): number {
    return sums.size + queue.count();
  }

  function makeAllDue(): void {
    dueThrough = queue.keys.taken + sums.size;
    start();
  }

  function start(): void {
    if (isRunning) return;
    isRunning = true;
    running = run();
  }

  /** Sends what is due, one batch after the other. */
  async function run(): Promise<void> {
    try {
      for (let failures = 0; !isStopped && expired === undefined;) {
        if (queue.batches.length === 0) {
          if (!isDue()) return;
          queue.take();
        }
        sending = new AbortController();
        const error = await queue.sendFirst(sending.signal);
        failures = error === undefined ? 0 : failures + 1;
        if (isStopped) return;
        lastError = error;
        flushes.check();
        rooms.check();
        if (error === undefined) continue;
        if (error.code === 'idempotency-key-expired') {
          expired = error;
          rooms.rejectAll(error);
        }
        flushes.rejectAll(error);
        onError?.(error);
        pausing = new AbortController();
        await sleep(pauseMs(failures), pausing.signal);
      }
    } finally {
      // At once, not when the promise is looked at: what is added meanwhile would not be sent.
      isRunning = false;
    }
  }

  function isDue(): boolean {
    if (sums.size === 0) return false;
    return queue.keys.taken < dueThrough || queue.isFilled() || held() >= maxKeys;
  }

  async function flush({ signal }: WaitOptions = {}): Promise<void> {
    if (expired !== undefined) throw expired;
    if (isStopped) throw bufferClosed();
    const through = queue.keys.taken + sums.size;
    const flushed = flushes.wait(() => queue.keys.stored >= through, signal);
    makeAllDue();
    // Who waits does not wait for a pause; what is only old does.
    pausing.abort();
    await flushed;
  }

  return {
    add: (key, value) => {
      checkKey(key);
      const exact = readValue(value);
      if (expired !== undefined) throw expired;
      if (isClosed) throw bufferClosed();
      const lowerKey = key.toLowerCase();
      if (!sums.has(lowerKey) && held() >= maxKeys) throw bufferFull(maxKeys, lastError);
      addToSums(sums, lowerKey, exact);
      if (queue.isFilled() || held() >= maxKeys) start();
      ageTimer ??= setTimeout(() => {
        ageTimer = undefined;
        makeAllDue();
      }, maxAgeMs);
    },
    whenRoom: async ({ signal } = {}) => {
      if (expired !== undefined) throw expired;
      if (isClosed) throw bufferClosed();
      await rooms.wait(() => held() < maxKeys, signal);
    },
    flush,
    close: async (wait) => {
      isClosed = true;
      isStopped = false;
      clearTimeout(ageTimer);
      rooms.rejectAll(bufferClosed());
      try {
        await flush(wait);
      } catch (error) {
        isStopped = true;
        pausing.abort();
        sending.abort(new Error('the buffer was closed'));
        await running;
        flushes.check();
        flushes.rejectAll(error as IncrementMeshError);
        throw error;
      }
    },
    pending: () => [
      ...queue.batches.map(({ increments, idempotencyKey }) => ({ increments, idempotencyKey })),
      ...(sums.size === 0 ? [] : [{ increments: listSums(sums), idempotencyKey: undefined }]),
    ],
  };
}

function listSums(sums: Sums): Increment[] {
  return takeFromSums(new Map(sums), Infinity).increments;
}
