/*
 * Adds a tally's sums although the database refuses some of them, in the flush's transaction: a statement
 * that it refuses is taken back to a savepoint and halved, down to the key. Of a key whose sum is refused,
 * the smallest increments are added as far as they are taken: what refuses a sum, such as an overflow or a
 * CHECK, refuses larger ones too. So r refused keys of n cost about 2r·log2(n/r) statements, and each key a
 * few more.
 *
 * Keys are tried in their order, as everywhere, so that two counter services can't deadlock.
 */
import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { Increment } from '../../schema/increment.ts';
import { sumOf, type Tally } from '../consume/tally.ts';
import { describeRefusal, isRefusal } from './database-error.ts';
import { STATEMENT_ROWS_MAX } from './statement-rows.ts';
import { upsertCounters } from './upsert-counters.ts';

/** Thrown if so many keys are refused that the batch is better flushed in parts. */
export class TooManyRefused extends Error {
  override readonly name = 'TooManyRefused';
}

export interface SeparateOptions {
  /** The increments of a key that can be left out; undefined if its sum has others too. */
  partsOf: (key: string) => Increment[] | undefined;
  /** Called before each statement; throws TooManyRefused, or returns false to refuse all that is left. */
  mayTry: (tries: number) => boolean;
}

/** What is not in the counters. */
export interface Refused {
  /** Each increment with SQLSTATE and message. */
  increments: Map<Increment, string>;
  /** Keys whose increments can't be told apart: the flush can't be committed. */
  inTally: string[];
}

export async function upsertSeparately(
  db: Kysely<Database>,
  tally: Tally,
  { partsOf, mayTry }: SeparateOptions,
): Promise<Refused> {
  const refused: Refused = { increments: new Map(), inTally: [] };
  let tries = 0;
  let lastRefusal = '';

  /** @returns why it is refused. */
  async function attempt(part: Tally): Promise<string | undefined> {
    const isSpent = !mayTry(tries++);
    if (isSpent && lastRefusal !== '') return lastRefusal;
    try {
      await upsertCounters(db, part);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await sql`rollback to savepoint part`.execute(db);
      lastRefusal = describeRefusal(error);
      return lastRefusal;
    }
    await sql`release savepoint part; savepoint part`.execute(db);
    return undefined;
  }

  async function add(keys: string[]): Promise<void> {
    const refusal = await attempt(new Map(keys.map((key) => [key, tally.get(key) ?? 0])));
    if (refusal === undefined) return;
    const [key = ''] = keys;
    if (keys.length === 1) return addParts(key, refusal);
    const middle = Math.ceil(keys.length / 2);
    await add(keys.slice(0, middle));
    await add(keys.slice(middle));
  }

  async function addParts(key: string, refusal: string): Promise<void> {
    const parts = partsOf(key);
    if (parts === undefined) {
      refused.inTally.push(key);
      return;
    }
    let left = parts.toSorted((one, other) => (one.value < other.value ? -1 : 1));
    let why = refusal;
    while (left.length > 1) {
      const smaller = left.slice(0, Math.floor(left.length / 2));
      const answer = await attempt(new Map([[key, sumOf(smaller)]]));
      const larger = left.slice(smaller.length);
      left = answer === undefined ? larger : smaller;
      if (answer !== undefined) for (const one of larger) refused.increments.set(one, answer);
      why = answer ?? why;
    }
    const [last] = left;
    if (last === undefined) return;
    // Alone it was tried already, unless others of its key are added by now.
    const answer = parts.length === 1 ? why : await attempt(new Map([[key, last.value]]));
    if (answer !== undefined) refused.increments.set(last, answer);
  }

  await sql`set constraints all immediate`.execute(db);
  await sql`savepoint part`.execute(db);
  const keys = [...tally.keys()].toSorted();
  for (let start = 0; start < keys.length; start += STATEMENT_ROWS_MAX) {
    await add(keys.slice(start, start + STATEMENT_ROWS_MAX));
  }
  await sql`release savepoint part`.execute(db);
  return refused;
}
