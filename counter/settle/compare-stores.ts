import { sql, type Kysely } from 'kysely';
import { readDatabaseId } from '../../schema/database/database-id.ts';
import type { Database } from '../../schema/database/tables.ts';
import { selectSettledFloor } from './settled-floor.ts';
import type { StreamReaders, StreamState } from './stream-state.ts';

/**
 * How stream and database can disagree:
 *   messages-gone      messages left the stream before they were counted, or the database forgot them;
 *   database-went-back the database knew messages that it does not know any more;
 *   stream-went-back   the stream ends before what the database has counted, or has another message there;
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
  /** The last settled sequence, and when its message was stored (milliseconds since 1970). */
  last: number;
  lastStoredMs: number;
  /** The end of the run of settled sequences from the stream's first message on. */
  floor: number;
  /** Whether the sequence that was proven before is still known. */
  isProvenKnown: boolean;
  /** How many of the removed messages are settled, above what was pruned or proven before. */
  settled: number;
}

/**
 * Compares what the broker has removed and stored with what the database knows.
 *
 * @param provenThrough every removed message up to this sequence was found settled before.
 * @returns the last sequence that the database has settled, or the last removed one, if that is later: up to
 * there the two are sure to speak of the same messages. With the settled floor.
 * @throws StoresDisagree
 */
export async function compareStores(
  db: Kysely<Database>,
  stream: StreamState,
  readers: StreamReaders,
  provenThrough = 0,
): Promise<{ last: number; floor: number }> {
  const proof = await readProof(db, stream, provenThrough);
  const { found } = await compareLast(db, stream, { ...readers, proof, provenThrough });
  if (found !== undefined) throw found;
  if (proof === undefined) {
    await db
      .insertInto('streams')
      .values({ incarnation: String(stream.incarnation), pruned_through: '0' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return { last: 0, floor: 0 };
  }
  return { last: Math.max(proof.last, stream.firstSequence - 1), floor: proof.floor };
}

/** The same without a change, for commands; with what was compared. */
export async function lookAtStores(
  db: Kysely<Database>,
  readers: StreamReaders,
): Promise<{ found: StoresDisagree | undefined; stream: StreamState; proof: Proof | undefined }> {
  const stream = await readers.readStream();
  const proof = await readProof(db, stream);
  return { ...(await compareLast(db, stream, { ...readers, proof, provenThrough: 0 })), proof };
}

async function compareLast(
  db: Kysely<Database>,
  stream: StreamState,
  {
    readStream,
    readStoredMs,
    proof,
    provenThrough,
  }: StreamReaders & { proof: Proof | undefined; provenThrough: number },
): Promise<{ found: StoresDisagree | undefined; stream: StreamState }> {
  if (proof === undefined) {
    const databaseId = await readDatabaseId(db);
    return { found: findDisagreement(stream, proof, { databaseId }), stream };
  }
  const { last } = proof;
  // Another counter service may have committed a message that was stored since: read the stream again.
  const lastSequence =
    last > stream.lastSequence ? (await readStream()).lastSequence : stream.lastSequence;
  const current = { ...stream, lastSequence };
  const mayBeStored = last >= stream.firstSequence && last <= lastSequence;
  const storedMs = mayBeStored ? await readStoredMs(last) : undefined;
  const look = { provenThrough, ...(storedMs !== undefined && { storedMs }) };
  return { found: findDisagreement(current, proof, look), stream: current };
}

/** Undefined if the database does not know the stream. */
async function readProof(
  db: Kysely<Database>,
  stream: StreamState,
  provenThrough = 0,
): Promise<Proof | undefined> {
  const { incarnation } = stream;
  const removed = stream.firstSequence - 1;
  // One statement: pruning moves the proof from rows of the ledger to the row of the stream.
  const { rows } = await sql<{
    pruned: string;
    last: string | null;
    lastStoredAt: Date | null;
    floor: string | null;
    isProvenKnown: boolean;
    settled: string;
  }>`
    select pruned_through as pruned,
      last.sequence as last, last.stored_at as "lastStoredAt",
      (${selectSettledFloor(db, stream)}) as floor,
      exists (select from ledger where incarnation = ${incarnation}
        and sequence = ${provenThrough}) as "isProvenKnown",
      (select count(*) from ledger where incarnation = ${incarnation}
        and sequence > greatest(pruned_through, ${provenThrough})
        and sequence <= ${removed}) as settled
    from streams left join lateral (
      select sequence, stored_at from ledger where ledger.incarnation = streams.incarnation
      order by sequence desc limit 1) as last on true
    where streams.incarnation = ${incarnation}`.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    prunedThrough: Number(row.pruned),
    last: Number(row.last ?? 0),
    lastStoredMs: row.lastStoredAt?.getTime() ?? 0,
    floor: Number(row.floor ?? removed),
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

/** Two readings of the time of one message differ by less: one is rounded to the millisecond. */
const SAME_MS = 2;

/**
 * Pure: the rules, and what is said of each.
 *
 * @param look.databaseId the identity of the database.
 * @param look.storedMs when the stream's message with the last settled sequence was stored; absent if it is
 * not there any more.
 */
export function findDisagreement(
  stream: StreamState,
  proof: Proof | undefined,
  {
    provenThrough = 0,
    storedMs,
    databaseId,
  }: { provenThrough?: number; storedMs?: number; databaseId?: string } = {},
): StoresDisagree | undefined {
  const removed = stream.firstSequence - 1;
  if (proof === undefined) {
    // What a database knows of a stream outweighs its identity, which changes where it is restored by a dump.
    const isOthers = stream.countedBy !== undefined && stream.countedBy !== databaseId;
    if (removed === 0 && !isOthers) return undefined;
    return new StoresDisagree('other-database', foreign(removed));
  }
  if (proof.last > stream.lastSequence) {
    return new StoresDisagree(
      'stream-went-back',
      streamEndsBefore(proof.last, stream.lastSequence),
    );
  }
  // It went back, and has grown past that sequence since.
  if (storedMs !== undefined && Math.abs(storedMs - proof.lastStoredMs) >= SAME_MS) {
    return streamHasAnother(proof.last);
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
const WENT_BACK = 'the stream went back in time (restored from an older copy?)';

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

function streamEndsBefore(last: number, end: number): string {
  return (
    `PostgreSQL has counted message ${last}, but the stream ends at ${end}: ${WENT_BACK}. New messages would ` +
    `get sequences that are settled already. To make the stream again: ${ACCEPT_LOSS}`
  );
}

export function streamHasAnother(sequence: number): StoresDisagree {
  return new StoresDisagree(
    'stream-went-back',
    `Message ${sequence} is counted or held, and the stream has another one in its place: ${WENT_BACK}, and ` +
      `new messages got sequences that are settled already. To make the stream again: ${ACCEPT_LOSS}`,
  );
}

function foreign(removed: number): string {
  const done = removed > 0 ? `has removed ${removed} messages as counted` : 'names its database';
  return (
    `the stream ${done}, and this database never knew the stream: another ` +
    'mesh counts it in a database of its own, or this database is an older or an empty one. Give this mesh ' +
    'the database that counts the stream, or NATS servers (NATS_URL) of its own'
  );
}
