/*
 * Classifies a batch's messages by the ledger. Pure: the flush runs the statements.
 *
 * A message is fresh (counted now), applied (its sequence has a row: an earlier delivery, or a commit whose
 * reply was lost), a repeat (another sequence has its id), or refused. Repeats and refused messages add
 * nothing, but get a row, so that settled sequences have no hole. So does a new message of a newer version,
 * which is parked: its row has its own id, if that can be read, and makes repeats of its copies.
 */
import type { FlushBatch, HeldMessage } from '../consume/flush-batch.ts';
import { streamHasAnother } from '../settle/compare-stores.ts';
import { FlushConflict } from './flush-conflict.ts';
import type { KnownMessage } from './ledger.ts';

/** A batch's messages before the ledger is queried. */
export interface Deduplicated {
  /** The first message of each id, to be inserted. */
  firsts: HeldMessage[];
  /** Messages with the id of an earlier one in the batch. */
  repeats: HeldMessage[];
  /** Messages of which nothing can be counted. */
  refused: HeldMessage[];
  /** Messages of a newer version whose id can't be read. */
  unnamed: HeldMessage[];
}

export function deduplicate(batch: FlushBatch): Deduplicated {
  const firsts = new Map<string, HeldMessage>();
  const repeats: HeldMessage[] = [];
  const refused: HeldMessage[] = [];
  const unnamed: HeldMessage[] = [];
  const inOrder = [...batch.messages.values()].toSorted(
    (left, right) => left.sequence - right.sequence,
  );
  for (const message of inOrder) {
    if (message.body?.refusal !== undefined) refused.push(message);
    else if (message.id === '') unnamed.push(message);
    else if (firsts.has(message.id)) repeats.push(message);
    else firsts.set(message.id, message);
  }
  return { firsts: [...firsts.values()], repeats, refused, unnamed };
}

export interface Classified {
  /** New to the ledger, and in it now. */
  fresh: HeldMessage[];
  /** New to the ledger and of a newer version. */
  parked: HeldMessage[];
  /** Of `fresh`, those whose increments are in the batch's tally. */
  tallied: HeldMessage[];
  /** How many messages were counted before. */
  alreadyApplied: number;
  /** Messages that add nothing and need a row of their own. */
  settledEmpty: HeldMessage[];
  /** Of those, messages whose id came with other content before. */
  reused: HeldMessage[];
}

/**
 * @param knownIds ids of `firsts` that were not inserted, because the id or the sequence has a row.
 * @param rows the ledger's rows for all messages that are not fresh.
 * @throws FlushConflict if the tally can't be used, or if a row was pruned between the two statements;
 * StoresDisagree if the place of a message has another one's row.
 */
export function classify(
  { firsts, repeats, refused }: Omit<Deduplicated, 'unnamed'>,
  {
    knownIds,
    rows,
    incarnation,
  }: { knownIds: Set<string>; rows: KnownMessage[]; incarnation: number },
): Classified {
  const unknown = firsts.filter(({ id }) => !knownIds.has(id));
  const fresh = unknown.filter((message) => !isNewer(message));
  const known = [...repeats, ...firsts.filter(({ id }) => knownIds.has(id))];
  const tallied = fresh.filter(isTallied);
  // After a commit whose reply was lost, a part of the tally is counted already, and can't be taken out.
  if (tallied.length > 0 && known.some(isTallied)) throw new FlushConflict('tally-split');

  const applied = new Map(
    rows
      .filter((row) => row.incarnation === incarnation)
      .map((row) => [row.sequence, row.digest] as const),
  );
  // What a newer version says can't be read, so its digest says nothing.
  const replaced = known.find(
    (message) =>
      !isNewer(message) && (applied.get(message.sequence) ?? message.digest) !== message.digest,
  );
  if (replaced !== undefined) throw streamHasAnother(replaced.sequence);
  const digests = new Map(rows.map(({ id, digest }) => [id, digest]));
  const repeated = known.filter(({ sequence }) => !applied.has(sequence));
  const reused = repeated.filter(({ id, digest }) => digests.get(id) !== digest);
  for (const { id, body } of reused) {
    if (!digests.has(id)) throw new FlushConflict('ledger-row-pruned');
    // The dead letter needs the body, which is kept after the redelivery.
    if (body === undefined) throw new FlushConflict('id-reused-in-tally');
  }
  return {
    fresh,
    parked: unknown.filter(isNewer),
    tallied,
    alreadyApplied: known.length,
    settledEmpty: [...refused, ...repeated],
    reused,
  };
}

function isNewer({ body }: HeldMessage): boolean {
  return body?.newer !== undefined;
}

/** Whether its increments are in the batch's tally; then its body is gone. */
export function isTallied({ body }: HeldMessage): boolean {
  return body === undefined;
}
