/*
 * The book: everything that clients sent, what they were told, and what must follow from it.
 *
 * Every increment is worth a power of four of its own among those of its key, so each has a digit
 * of its own in the counter's value to base 4. The digit is how often it was counted, and a double
 * count can't hide behind a lost one as it could in a plain sum.
 */
import type { Random } from '../support/random.ts';

/** 4^31 = 2^62 is the largest power that is an int64. */
const PLACES = 32;
/** Keys in use at a time: so few that every pack and every flush meets them again and again. */
const KEYS_IN_USE = 40;

/**
 * What a client knows of one attempt: stored; proven not to be stored; or neither. A 503 says in
 * its code which of the last two it is, and is held to its word.
 */
export type Outcome = 'accepted' | 'refused' | 'unknown';

export interface Attempt {
  /** A time of performance.now(). */
  startedAt: number;
  endedAt: number;
  outcome: Outcome;
  /** Who was asked, and what it said. */
  via: string;
  said: string;
  /** The message's place in the stream, where it is known. */
  sequence: number | undefined;
}

export interface Increment {
  key: string;
  place: number;
  value: bigint;
  fence: DuplicateKey;
  attempts: Attempt[];
  /** Why a dead letter may hold it. Without a reason, none may. */
  letterReasons: string[];
}

/**
 * What can be counted only once together: all attempts of an increment, and all increments under
 * one idempotency key or message id.
 */
export interface DuplicateKey {
  once: string | undefined;
  increments: Increment[];
  /** Where the increments are one batch: each is counted, or none is. */
  isBatch: boolean;
  /** Nothing behind it may ever be counted, whatever was answered. */
  isNeverCounted: boolean;
}

/** A message that must come back as a dead letter, known by a mark in its text. */
export interface MalformedMessage {
  mark: string;
  reason: string;
  /** The places of those that were stored. */
  accepted: number[];
  unknown: number;
}

export interface Book {
  readonly increments: Increment[];
  readonly fences: DuplicateKey[];
  readonly poisons: Map<string, MalformedMessage>;
  /** Answers that were wrong by themselves. */
  readonly problems: string[];
  readonly answers: Map<string, number>;
  openFence: (facts?: Partial<DuplicateKey>) => DuplicateKey;
  /** A new increment behind the fence, on a key that others use too. */
  addIncrement: (fence: DuplicateKey, letterReasons?: string[]) => Increment;
  /** One attempt for all the increments that it carried. */
  addAttempt: (increments: Increment[], attempt: Attempt) => void;
  addPoison: (poison: MalformedMessage) => void;
  /** All increments of a key, in the order of their places. */
  ofKey: (key: string) => readonly Increment[];
  /** The increments that were added last. */
  latest: (count: number) => Increment[];
  /** Finds what an increment in a dead letter was. */
  find: (key: string, value: bigint) => Increment | undefined;
}

export function openBook(random: Random): Book {
  const increments: Increment[] = [];
  const fences: DuplicateKey[] = [];
  const poisons = new Map<string, MalformedMessage>();
  const problems: string[] = [];
  const answers = new Map<string, number>();
  const byKey = new Map<string, Increment[]>();
  const inUse: string[] = Array.from({ length: KEYS_IN_USE }, random.uuid);

  function openFence(facts: Partial<DuplicateKey> = {}): DuplicateKey {
    const empty = { once: undefined, increments: [], isBatch: false, isNeverCounted: false };
    const fence: DuplicateKey = { ...empty, ...facts };
    fences.push(fence);
    return fence;
  }

  function addIncrement(fence: DuplicateKey, letterReasons: string[] = []): Increment {
    const index = random.between(0, KEYS_IN_USE - 1);
    const key = inUse[index] ?? '';
    const ofKey = byKey.get(key) ?? [];
    const place = ofKey.length;
    if (place === PLACES - 1) inUse[index] = random.uuid();
    const value = 4n ** BigInt(place);
    const increment: Increment = { key, place, value, fence, attempts: [], letterReasons };
    byKey.set(key, [...ofKey, increment]);
    increments.push(increment);
    fence.increments.push(increment);
    return increment;
  }

  function addAttempt(carried: Increment[], attempt: Attempt): void {
    for (const { attempts } of carried) attempts.push(attempt);
    answers.set(attempt.said, (answers.get(attempt.said) ?? 0) + 1);
  }

  return {
    increments,
    fences,
    poisons,
    problems,
    answers,
    openFence,
    addIncrement,
    addAttempt,
    addPoison: (poison) => void poisons.set(poison.mark, poison),
    ofKey: (key) => byKey.get(key) ?? [],
    latest: (count) => increments.slice(-count),
    find: (key, value) => byKey.get(key)?.find((increment) => increment.value === value),
  };
}

/** How often each of a key's increments was counted: its digits to base 4, lowest first. */
export function readDigits(value: bigint): number[] {
  const digits: number[] = [];
  for (let rest = value; rest > 0n; rest /= 4n) digits.push(Number(rest % 4n));
  return digits;
}
