/*
 * The flush: one transaction that adds a batch to the database, completely or not at all.
 *
 * 1. Insert the message ids. An id that is there already was counted by an earlier delivery. New messages of
 *    a newer version are parked; what was parked before leaves its table.
 * 2. Claim the idempotency keys of the remaining messages. A key that is claimed already was counted
 *    before.
 * 3. Add the sums to the counters, keys sorted, so that two counter services can't deadlock. What the
 *    database refuses is left out, once that is known (upsert-separately.ts).
 * 4. Sum each message's ledger total from its own increments, never from the tally: the audit compares the
 *    two.
 * 5. Write dead letters. Only the commit makes these decisions final, so the broker gets them after it
 *    (maintenance/send-dead-letters.ts).
 * 6. Commit. Before it nothing is acknowledged, and after it nothing can be counted again.
 */
import type { Kysely } from 'kysely';
import type { Database, NotCounted } from '../../schema/database/tables.ts';
import { digest } from '../../schema/digest.ts';
import { encodeIncrement, type DeadLetterReason } from '../../schema/message/envelope.ts';
import type { FlushBatch, HeldMessage } from '../consume/flush-batch.ts';
import { park, unpark } from '../parking/park.ts';
import { addToTally, sumOf, type Tally } from '../consume/tally.ts';
import { claimIdempotencyKeys, type JudgedMessage } from './claim-keys.ts';
import { classify, deduplicate, type Classified } from './classify.ts';
import { countReasons, deadLetterOf, deadLettersOfParts } from './dead-letters-of.ts';
import { summarizeFlush, type FlushSummary } from './flush-summary.ts';
import { correctTotals, findMessages, insertMessages, type LedgerRow } from './ledger.ts';
import { FlushConflict } from './flush-conflict.ts';
import { upsertCounters } from './upsert-counters.ts';
import { upsertSeparately, type SeparateOptions } from './upsert-separately.ts';
import { confirmReplication } from './replication.ts';
import { startStepTimer } from './step-timer.ts';
import { findTraced, type TracedMessage } from './traced-messages.ts';
import { writeDeadLetters, type DeadLetter } from './write-dead-letters.ts';

/** What a flush spends its time on: the steps above, and the beginning of the transaction. */
export type FlushStep = 'begin' | 'deduplicate' | 'keys' | 'upsert' | 'dead-letters' | 'commit';

export interface FlushResult {
  messages: number;
  increments: number;
  /** Messages that the ledger knew, and increments whose idempotency key it knew. */
  alreadyApplied: number;
  deadLetters: number;
  /** Messages of a newer version, and what the table that has them takes on disk, if there were any. */
  parked: number;
  parkedBytes?: number;
  /** How many messages were parked before and are not any more. */
  unparked: number;
  /** Of the dead letters: how many for each reason. */
  reasons: Partial<Record<DeadLetterReason, number>>;
  /** The lowest sequence of a message with one; absent if there are none. */
  firstDeadLetter?: number;
  keys: number;
  /** When the oldest increment added entered the stream; Infinity if none was added. */
  oldestEnteredAt: number;
  stepsMs: Partial<Record<FlushStep, number>>;
  /** Messages that have a row of the ledger now, counted or not; of these, those that are traced. */
  settled: number;
  traced: TracedMessage[];
  summary: FlushSummary;
}

export interface FlushOptions {
  /** Leaves out the increments that the database refuses, each as a dead letter. Slower. */
  separate?: Pick<SeparateOptions, 'mayTry'>;
  /** Called with keys of which an increment was refused, before the commit. */
  onRefused?: (keys: Iterable<string>) => void;
}

/** @throws FlushConflict, or the database's error; either way nothing was changed. */
export async function flush(
  database: Kysely<Database>,
  held: FlushBatch,
  incarnation: number,
  options: FlushOptions = {},
): Promise<FlushResult> {
  const timer = startStepTimer<FlushStep>();
  const { tally, written, ...result } = await database.transaction().execute(async (db) => {
    timer.end('begin');
    const { batch, unparked } = await unpark(db, held, incarnation);
    const { fresh, tallied, parked, ...settled } = await insertIds(db, batch, incarnation);
    const parking = await park(db, parked, incarnation);
    timer.end('deduplicate');

    const judged = await claimIdempotencyKeys(db, fresh);
    timer.end('keys');

    const sums: Tally = tallied.length > 0 ? batch.tally : new Map();
    const tally = await addToCounters(db, { sums, judged }, options);
    timer.end('upsert');
    await correctTotals(db, judged.filter(isReduced).map(asReduced));

    const written = [
      ...settled.deadLetters,
      ...judged.flatMap((message) => deadLettersOfParts(message, incarnation)),
    ];
    await writeDeadLetters(db, written);
    const repeated = judged.reduce((sum, message) => sum + message.repeated, 0);
    const alreadyApplied = settled.alreadyApplied + repeated;
    if (alreadyApplied > 0) await confirmReplication(db);
    timer.end('dead-letters');

    return {
      messages: fresh.length,
      increments: countIncrements(tallied, judged),
      alreadyApplied,
      parked: parked.length,
      ...parking,
      unparked,
      oldestEnteredAt: fresh.reduce(
        (oldest, { enteredAt }) => Math.min(oldest, enteredAt),
        Infinity,
      ),
      settled: batch.messages.size,
      traced: findTraced(batch.messages.values(), written),
      tally,
      written,
    };
  });
  timer.end('commit');
  return {
    ...result,
    keys: tally.size,
    deadLetters: written.length,
    reasons: countReasons(written),
    ...(written.length > 0 && { firstDeadLetter: firstSequenceOf(written) }),
    summary: summarizeFlush(tally, written),
    stepsMs: timer.ms,
  };
}

/**
 * Step 1. Inserts the ids in their order, then rows for messages that add nothing: each message gets a row,
 * so that settled sequences have no hole.
 */
async function insertIds(
  db: Kysely<Database>,
  batch: FlushBatch,
  incarnation: number,
): Promise<
  Pick<Classified, 'fresh' | 'parked' | 'tallied' | 'alreadyApplied'> & {
    deadLetters: DeadLetter[];
  }
> {
  const messages = deduplicate(batch);
  const knownIds = await insertMessages(db, incarnation, sortedById(messages.firsts));
  const known = [...messages.repeats, ...messages.firsts.filter(({ id }) => knownIds.has(id))];
  const rows = known.length > 0 ? await findMessages(db, incarnation, known) : [];

  const classified = classify(messages, { knownIds, rows, incarnation });
  const asEmpty = (message: HeldMessage) => emptyRow(message, incarnation);
  await insertRefused(db, messages.refused, incarnation);
  const emptyRows = [...classified.settledEmpty, ...messages.unnamed].map(asEmpty);
  const knownRows = await insertMessages(db, incarnation, sortedById(emptyRows));
  // What was parked by an earlier delivery may be counted by now.
  const unnamed = messages.unnamed.filter((message) => !knownRows.has(asEmpty(message).id));
  const deadLetters = [
    ...messages.refused.map((message) => deadLetterOf(message, incarnation)),
    ...classified.reused.map((message) => deadLetterOf(message, incarnation, 'message-id-reused')),
  ];
  return { ...classified, parked: [...classified.parked, ...unnamed], deadLetters };
}

/**
 * Inserts refused messages under their own ids, so that clients can ask what became of them. One whose id has
 * a row already gets its row with the others that add nothing.
 */
async function insertRefused(
  db: Kysely<Database>,
  refused: HeldMessage[],
  incarnation: number,
): Promise<void> {
  const named = sortedById(refused.filter(({ id }) => id !== ''));
  const rows = named.map((message) => ({ ...message, increments: 0, total: 0 }));
  const taken = await insertMessages(db, incarnation, rows);
  const inserted = named.filter(({ id }) => !taken.has(id));
  await correctTotals(
    db,
    inserted.map(({ id, increments, body }) => ({
      id,
      increments: 0,
      total: 0,
      notCounted: { [body?.refusal ?? 'wrong-shape']: increments },
    })),
  );
}

/** Step 3. @returns what was added: the tally's sums and what counts of the judged messages. */
async function addToCounters(
  db: Kysely<Database>,
  { sums, judged }: { sums: Tally; judged: JudgedMessage[] },
  { separate, onRefused }: FlushOptions,
): Promise<Tally> {
  const all = addUp(sums, judged);
  if (separate === undefined) {
    await upsertCounters(db, all);
    return all;
  }
  const parts = Map.groupBy(
    judged.flatMap(({ counted }) => counted),
    ({ key }) => key,
  );
  const partsOf = (key: string) => (sums.has(key) ? undefined : parts.get(key));
  const { increments, inTally } = await upsertSeparately(db, all, { ...separate, partsOf });
  onRefused?.([...inTally, ...[...increments.keys()].map(({ key }) => key)]);
  if (inTally.length > 0) throw new FlushConflict('refused-in-tally');
  if (increments.size === 0) return all;
  for (const message of judged) {
    message.refused = message.counted
      .filter((increment) => increments.has(increment))
      .map((increment) => ({
        text: encodeIncrement(increment),
        error: increments.get(increment)!,
      }));
    message.counted = message.counted.filter((increment) => !increments.has(increment));
  }
  return addUp(sums, judged);
}

/** Adds to a copy: a retry needs the batch's tally unchanged. */
function addUp(tally: Tally, judged: JudgedMessage[]): Tally {
  if (judged.length === 0) return tally;
  const sums = new Map(tally);
  for (const { counted } of judged) {
    for (const { key, value } of counted) addToTally(sums, key, value);
  }
  return sums;
}

function sortedById<Row extends { id: string }>(rows: Row[]): Row[] {
  return rows.toSorted((left, right) => (left.id < right.id ? -1 : 1));
}

/** Its id is derived: the message's own id belongs to the row that counted it. */
function emptyRow(message: HeldMessage, incarnation: number): LedgerRow {
  return { ...message, id: digest(`${incarnation}:${message.sequence}`), increments: 0, total: 0 };
}

/** Whether it has increments that are not added. */
function isReduced({ message, counted }: JudgedMessage): boolean {
  return counted.length < message.increments || (message.body?.rejected.length ?? 0) > 0;
}

function asReduced({ message, counted, repeated, reused, refused }: JudgedMessage) {
  const notCounted: NotCounted = {};
  const add = (why: keyof NotCounted, increments: number) => {
    if (increments > 0) notCounted[why] = (notCounted[why] ?? 0) + increments;
  };
  add('repeated', repeated);
  add('idempotency-key-reused', reused.length);
  add('refused-by-database', refused.length);
  for (const { reason } of message.body?.rejected ?? []) add(reason, 1);
  return { id: message.id, increments: counted.length, total: sumOf(counted), notCounted };
}

function countIncrements(tallied: HeldMessage[], judged: JudgedMessage[]): number {
  return (
    tallied.reduce((sum, { increments }) => sum + increments, 0) +
    judged.reduce((sum, { counted }) => sum + counted.length, 0)
  );
}

function firstSequenceOf(deadLetters: DeadLetter[]): number {
  return deadLetters.reduce((first, { sequence }) => Math.min(first, sequence), Infinity);
}
