/*
 * Readers hold each read to what it says of itself: all that was accepted before `complete_through`, and up to
 * `complete_sequence`, must be in the values of the same answer, whatever breaks meanwhile.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import { readDigits, type Book, type DuplicateKey, type Increment } from './book.ts';
import { mayBeGone, type Loss } from './losses.ts';

const KEYS_READ = 20;
/** Increments whose keys are read: those of some flushes. */
const RECENT = 2_000;
const PAUSE_MS_MAX = 10;
/** Longer than a gateway waits for the database. */
const ANSWER_MS_MAX = 9_000;

export interface ReadersOptions {
  book: Book;
  random: Random;
  gateways: { name: string; url: string }[];
  connections: number;
  losses: Loss[];
  ending: AbortSignal;
}

/** What was read: how often, and how many increments those reads said they hold. */
export interface Reads {
  answers: number;
  claims: number;
}

interface Answer {
  counters: { key: string; value: string }[];
  complete_through: string | null;
  complete_sequence: number | null;
}

/** Reads until the end; a read that says too much becomes one of the book's problems. */
export async function runReaders(options: ReadersOptions): Promise<Reads> {
  const reads: Reads = { answers: 0, claims: 0 };
  const readers = Array.from({ length: options.connections }, () =>
    runReader({ ...options, random: options.random.fork() }, reads),
  );
  await Promise.all(readers);
  return reads;
}

async function runReader(options: ReadersOptions, reads: Reads): Promise<void> {
  const { book, random, gateways, ending } = options;
  let last = '';
  while (!ending.aborted) {
    await delay(random.between(0, PAUSE_MS_MAX));
    const recent = book.latest(RECENT);
    if (recent.length === 0) continue;
    const length = random.between(1, KEYS_READ);
    const keys = new Set(Array.from({ length }, () => random.pick(recent).key));
    const gateway = random.pick(gateways);
    const answer = await read(gateway.url, [...keys]);
    if (answer === undefined) continue;
    reads.answers++;
    const through = answer.complete_through ?? '';
    if (through < last) book.problems.push(`complete_through went back: ${last}, then ${through}`);
    last = through;
    reads.claims += check(answer, options);
  }
}

async function read(url: string, keys: string[]): Promise<Answer | undefined> {
  const query = keys.map((key) => `key=${key}`).join('&');
  try {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const response = await fetch(`${url}/counters?${query}`, { signal });
    const body = (await response.json()) as Answer;
    return response.status === 200 ? body : undefined;
  } catch {
    // The gateway is killed, frozen or cut off: nothing was said.
    return undefined;
  }
}

/** @returns how many increments the answer said it holds. */
function check(answer: Answer, { book, losses }: ReadersOptions): number {
  const { complete_through, complete_sequence } = answer;
  const throughMs = complete_through === null ? -Infinity : Date.parse(complete_through);
  let claims = 0;
  for (const { key, value } of answer.counters) {
    const digits = readDigits(BigInt(value));
    for (const increment of book.ofKey(key)) {
      if (!isClaimed(increment, { throughMs, sequence: complete_sequence ?? -1, losses })) continue;
      claims++;
      if (digits[increment.place] === 1) continue;
      book.problems.push(
        `a read said that it is complete through ${complete_through} and ${complete_sequence}, and has ` +
          `${key} ${value} without ${increment.value}, accepted ` +
          increment.attempts.map(({ endedAt, sequence }) => `${wallTime(endedAt)} as ${sequence}`),
      );
    }
  }
  return claims;
}

function isClaimed(
  { attempts, fence }: Increment,
  said: { throughMs: number; sequence: number; losses: Loss[] },
): boolean {
  if (isUndecided(fence)) return false;
  const accepted = attempts.filter(({ outcome }) => outcome === 'accepted');
  if (accepted.length === 0 || mayBeGone(said.losses, accepted)) return false;
  return accepted.some(
    ({ endedAt, sequence = Infinity }) =>
      performance.timeOrigin + endedAt < said.throughMs || sequence <= said.sequence,
  );
}

/** Of several increments under one idempotency key one is counted, and which one is not known. */
function isUndecided({ isBatch, isNeverCounted, increments }: DuplicateKey): boolean {
  return isNeverCounted || (!isBatch && increments.length > 1);
}

function wallTime(at: number): string {
  return new Date(performance.timeOrigin + at).toISOString();
}
