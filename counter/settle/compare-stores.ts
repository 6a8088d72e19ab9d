import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { StreamState } from './stream-state.ts';

/**
 * How stream and database can disagree:
 *   messages-gone      messages left the stream before they were counted, or the database forgot them;
 *   database-went-back the database knew messages that it does not know any more;
 *   stream-went-back   the stream ends before what the database has counted;
 *   other-database     the stream's messages were counted in a database that is not this one;
 *   stream-made-again  the stream is another one than before.
 */
export type Disagreement =
  | 'messages-gone'
  | 'database-went-back'
  | 'stream-went-back'
  | 'other-database'
  | 'stream-made-again';

/** Thrown if going on would lose or double counts, with what happened and what to do. */
export class StoresDisagree extends Error {
  override readonly name = 'StoresDisagree';
  readonly kind: Disagreement;

  constructor(kind: Disagreement, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** What the database knows of a stream: sequences, and counts of messages. */
export interface Proof {
  prunedThrough: number;
  /** The last settled sequence. */
  last: number;
  /** Whether the sequence that was proven before is still known. */
  isProvenKnown: boolean;
  /** How many of the removed messages are settled, above what was pruned or proven before. */
  settled: number;
}

/**
 * Compares what the broker has removed and stored with what the database knows.
 *
 * @param provenThrough every removed message up to this sequence was found settled before.
 * @throws StoresDisagree
 */
export async function compareStores(
  db: Kysely<Database>,
  stream: StreamState,
  readAgain: () => Promise<StreamState>,
  provenThrough = 0,
): Promise<void> {
  const proof = await readProof(db, stream, provenThrough);
  if (proof === undefined && stream.firstSequence === 1) {
    await db
      .insertInto('streams')
      .values({ incarnation: String(stream.incarnation), pruned_through: '0' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return;
  }
  // Another counter service may have committed a message that was stored since: read the stream again.
  const isBehind = proof !== undefined && proof.last > stream.lastSequence;
  const lastSequence = isBehind ? (await readAgain()).lastSequence : stream.lastSequence;
  const found = findDisagreement({ ...stream, lastSequence }, proof, provenThrough);
  if (found !== undefined) throw found;
}

/** The same without a change, for commands; with what was compared. */
export async function lookAtStores(
  db: Kysely<Database>,
  readStream: () => Promise<StreamState>,
): Promise<{ found: StoresDisagree | undefined; stream: StreamState; proof: Proof | undefined }> {
  let stream = await readStream();
  const proof = await readProof(db, stream);
  // What is counted was stored before.
  if (proof !== undefined && proof.last > stream.lastSequence) {
    stream = { ...stream, lastSequence: (await readStream()).lastSequence };
  }
  return { found: findDisagreement(stream, proof), stream, proof };
}

/** Undefined if the database does not know the stream. */
async function readProof(
  db: Kysely<Database>,
  { incarnation, firstSequence }: StreamState,
  provenThrough = 0,
): Promise<Proof | undefined> {
  const removed = firstSequence - 1;
  // One statement: pruning moves the proof from rows of the ledger to the row of the stream.
  const { rows } = await sql<{
    pruned: string;
    last: string | null;
    isProvenKnown: boolean;
    settled: string;
  }>`
    select pruned_through as pruned,
      (select max(sequence) from ledger where incarnation = ${incarnation}) as last,
      exists (select from ledger where incarnation = ${incarnation}
        and sequence = ${provenThrough}) as "isProvenKnown",
      (select count(*) from ledger where incarnation = ${incarnation}
        and sequence > greatest(pruned_through, ${provenThrough})
        and sequence <= ${removed}) as settled
    from streams where incarnation = ${incarnation}`.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    prunedThrough: Number(row.pruned),
    last: Number(row.last ?? 0),
    isProvenKnown: row.isProvenKnown,
    settled: Number(row.settled),
  };
}

/** How many messages left the stream without being settled. */
export function countMissing(
  { firstSequence }: StreamState,
  { prunedThrough, settled }: Proof,
  provenThrough = 0,
): number {
  return Math.max(0, firstSequence - 1 - Math.max(prunedThrough, provenThrough)) - settled;
}

/** Pure: the rules, and what is said of each. */
export function findDisagreement(
  stream: StreamState,
  proof: Proof | undefined,
  provenThrough = 0,
): StoresDisagree | undefined {
  const removed = stream.firstSequence - 1;
  if (proof === undefined) {
    return removed === 0 ? undefined : new StoresDisagree('other-database', foreign(removed));
  }
  if (proof.last > stream.lastSequence) {
    return new StoresDisagree('stream-went-back', streamWentBack(proof.last, stream.lastSequence));
  }
  if (provenThrough > proof.prunedThrough && !proof.isProvenKnown) {
    return new StoresDisagree('database-went-back', databaseWentBack(provenThrough));
  }
  const missing = countMissing(stream, proof, provenThrough);
  if (missing === 0) return undefined;
  const from = Math.max(proof.prunedThrough, provenThrough) + 1;
  return new StoresDisagree('messages-gone', messagesGone(missing, { from, removed, stream }));
}

const ACCEPT_LOSS = '`npm run mesh -- accept-loss`';

function messagesGone(
  missing: number,
  { from, removed, stream }: { from: number; removed: number; stream: StreamState },
): string {
  const cause =
    stream.limitedBy === undefined
      ? 'It was purged by hand, messages were deleted'
      : `Its ${stream.limitedBy} removed them (\`npm run provision\` corrects that)`;
  return (
    `${missing} of the messages ${from} to ${removed} left the stream, and PostgreSQL does not know them. ` +
    `${cause}, or the database went back in time (restored from an older copy?). ` +
    `Restore the newer database, if there is one. To go on without them: ${ACCEPT_LOSS}`
  );
}

function databaseWentBack(proven: number): string {
  return (
    `PostgreSQL knew message ${proven} as counted and does not any more: the database went back in time ` +
    '(restored from an older copy, or a standby that was behind?). Restore the newer database, if there is ' +
    `one. To go on without what it had counted since: ${ACCEPT_LOSS}`
  );
}

function streamWentBack(last: number, end: number): string {
  return (
    `PostgreSQL has counted message ${last}, but the stream ends at ${end}: ` +
    'the stream went back in time (restored from an older copy?). New messages would get ' +
    `sequences that are settled already. To make the stream again: ${ACCEPT_LOSS}`
  );
}

function foreign(removed: number): string {
  return (
    `the stream has removed ${removed} messages as counted, and this database never knew the stream: another ` +
    'mesh counts it in a database of its own, or this database is an older or an empty one. Give this mesh ' +
    'the database that counts the stream, or NATS servers (NATS_URL) of its own'
  );
}
