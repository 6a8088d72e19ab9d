/*
 * The flush: one transaction that makes a batch part of the database, or leaves no trace.
 *
 * 1. Message ids are inserted. What is there already was counted by an earlier delivery.
 * 2. Idempotency keys of what remains are claimed. What is claimed already was counted before.
 * 3. Each message's ledger total is summed from its own increments, never from the tally: the audit
 *    compares the two.
 * 4. The sums are added to the counters, keys sorted, so that two counters can't deadlock.
 * 5. Dead letters are written down beside. Only a commit makes what was judged final, so the broker
 *    gets them after it (dead-letters.ts).
 * 6. Commit. Before it nothing is acknowledged, and after it nothing can be counted again.
 */
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { type DeadLetterReason } from '../../schema/message/envelope.ts';
import { digest } from '../../schema/digest.ts';
import { writeDeadLetters, type DeadLetter } from './dead-letters.ts';
import { claimIdempotencyKeys, type JudgedMessage } from './claim-keys.ts';
import { summarizeFlush, type FlushSummary } from './flush-summary.ts';
import { startStepTimer } from './step-timer.ts';
import {
  correctTotals,
  findMessages,
  insertMessages,
  upsertCounters,
  type LedgerRow,
} from './ledger.ts';
import { countReasons, deadLetterOf, deadLettersOfParts } from './dead-letters-of.ts';
import type { HeldMessage, FlushBatch } from '../consume/flush-batch.ts';
import { confirmReplication } from './replication.ts';
import { addToTally, sumOf, TallyConflict } from '../consume/tally.ts';

/** What a flush's time goes to: the steps above, and the beginning of the transaction. */
export type FlushStep = 'begin' | 'fence' | 'keys' | 'upsert' | 'letters' | 'commit';

/** As many as a span has links. */
const TRACEPARENTS_MAX = 128;

export interface FlushResult {
  messages: number;
  increments: number;
  /** Messages that the ledger knew, and increments whose idempotency key it knew. */
  alreadyApplied: number;
  deadLetters: number;
  /** Of the dead letters: how many for each reason. */
  reasons: Partial<Record<DeadLetterReason, number>>;
  keys: number;
  /** When the oldest increment that this flush added was born; Infinity where none was. */
  oldestBornAt: number;
  stepsMs: Partial<Record<FlushStep, number>>;
  /** The trace contexts of the messages that it added, as many as a trace can use. */
  traceparents: string[];
  activity: FlushSummary;
}

/** @throws TallyConflict, or the database's error; either way nothing was changed. */
export async function flush(
  database: Kysely<Database>,
  batch: FlushBatch,
  incarnation: number,
): Promise<FlushResult> {
  const timer = startStepTimer<FlushStep>();
  const { tally, letters, ...result } = await database
    .transaction()
    .execute(async (transaction) => {
      timer.end('begin');
      const {
        fresh,
        known,
        letters: ofMessages,
      } = await fenceMessages(transaction, batch, incarnation);
      timer.end('fence');

      const eager = fresh.filter(({ body }) => body === undefined);
      const judged = await claimIdempotencyKeys(transaction, fresh);
      const tally =
        judged.length === 0 && eager.length > 0
          ? batch.tally
          : new Map(eager.length > 0 ? batch.tally : []);
      for (const { counted } of judged) {
        for (const { key, value } of counted) addToTally(tally, key, value);
      }
      await correctTotals(transaction, judged.filter(isReduced).map(asTotal));
      timer.end('keys');

      await upsertCounters(transaction, tally);
      timer.end('upsert');

      const ofParts = judged.flatMap((each) => deadLettersOfParts(each, incarnation));
      const letters = [...ofMessages, ...ofParts];
      await writeDeadLetters(transaction, letters);
      const alreadyApplied = known + judged.reduce((sum, { repeated }) => sum + repeated, 0);
      if (alreadyApplied > 0) await confirmReplication(transaction);
      timer.end('letters');

      return {
        messages: fresh.length,
        increments: countIncrements(eager, judged),
        alreadyApplied,
        deadLetters: letters.length,
        reasons: countReasons(letters),
        keys: tally.size,
        oldestBornAt: fresh.reduce((oldest, { bornAt }) => Math.min(oldest, bornAt), Infinity),
        traceparents: tracesOf(fresh),
        tally,
        letters,
      };
    });
  timer.end('commit');
  return { ...result, activity: summarizeFlush(tally, letters), stepsMs: timer.ms };
}

interface FencedMessages {
  /** New to the ledger, and in it now. */
  fresh: HeldMessage[];
  /** How many were applied before. */
  known: number;
  letters: DeadLetter[];
}

/**
 * Step 1. A message is fresh, or applied already (its sequence has a row), or a repeat (its id has
 * another sequence's row), or refused. The last two get a row of their own that adds nothing, so
 * that settled sequences have no hole.
 */
async function fenceMessages(
  db: Kysely<Database>,
  batch: FlushBatch,
  incarnation: number,
): Promise<FencedMessages> {
  const messages = [...batch.messages.values()].toSorted(
    (left, right) => left.sequence - right.sequence,
  );
  const firsts = new Map<string, HeldMessage>();
  const others: HeldMessage[] = [];
  const refused: HeldMessage[] = [];
  for (const message of messages) {
    if (message.body?.refusal !== undefined) refused.push(message);
    else if (firsts.has(message.id)) others.push(message);
    else firsts.set(message.id, message);
  }

  const known = await insertMessages(db, incarnation, sortedById([...firsts.values()]));
  const fresh: HeldMessage[] = [];
  for (const message of firsts.values()) (known.has(message.id) ? others : fresh).push(message);

  const letters = refused.map((message) => deadLetterOf(message, incarnation));
  const settling: HeldMessage[] = [...refused];
  if (others.length > 0) {
    refuseToSplitTally(batch, others);
    const rows = await findMessages(db, incarnation, others);
    const settled = new Set(
      rows.filter((row) => row.incarnation === incarnation).map(({ sequence }) => sequence),
    );
    const digests = new Map(rows.map((row) => [row.id, row.digest]));
    for (const message of others) {
      if (settled.has(message.sequence)) continue;
      const digestBefore = digests.get(message.id);
      // The row was pruned between the two statements; the message comes again.
      if (digestBefore === undefined) {
        throw new TallyConflict('a ledger row vanished during the flush');
      }
      if (digestBefore !== message.digest) letters.push(reusedLetter(message, incarnation));
      settling.push(message);
    }
  }
  await insertMessages(
    db,
    incarnation,
    sortedById(settling.map((each) => emptyRow(each, incarnation))),
  );
  return { fresh, known: others.length, letters };
}

/** All of the tally is applied (a commit whose answer was lost), or none of it, or it is in doubt. */
function refuseToSplitTally(batch: FlushBatch, others: HeldMessage[]): void {
  let eagerOthers = 0;
  for (const { body } of others) if (body === undefined) eagerOthers++;
  if (eagerOthers === 0) return;
  let eager = 0;
  for (const { body } of batch.messages.values()) if (body === undefined) eager++;
  if (eagerOthers < eager) {
    throw new TallyConflict(`${eagerOthers} of ${eager} messages in the tally were applied before`);
  }
}

function sortedById<Row extends { id: string }>(rows: Row[]): Row[] {
  return rows.toSorted((left, right) => (left.id < right.id ? -1 : 1));
}

function emptyRow(message: HeldMessage, incarnation: number): LedgerRow {
  return { ...message, id: digest(`${incarnation}:${message.sequence}`), increments: 0, total: 0 };
}

function isReduced({ message, counted }: JudgedMessage): boolean {
  return counted.length < message.increments;
}

function asTotal({ message, counted }: JudgedMessage) {
  return { id: message.id, increments: counted.length, total: sumOf(counted) };
}

function countIncrements(eager: HeldMessage[], judged: JudgedMessage[]): number {
  return (
    eager.reduce((sum, { increments }) => sum + increments, 0) +
    judged.reduce((sum, { counted }) => sum + counted.length, 0)
  );
}

function reusedLetter(message: HeldMessage, incarnation: number): DeadLetter {
  if (message.body === undefined) throw new TallyConflict('a message id was reused');
  return { ...deadLetterOf(message, incarnation), reason: 'message-id-reused' };
}

function tracesOf(messages: HeldMessage[]): string[] {
  const found: string[] = [];
  for (const { traceparent } of messages) {
    if (traceparent !== undefined && found.push(traceparent) === TRACEPARENTS_MAX) break;
  }
  return found;
}
