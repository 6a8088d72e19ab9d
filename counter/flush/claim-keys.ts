import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { encodeIncrement } from '../../schema/message/envelope.ts';
import { digest } from '../../schema/digest.ts';
import type { Increment } from '../../schema/increment.ts';
import { claimKeys, findKeyPayloads, type KeyClaim } from './ledger.ts';
import type { HeldMessage } from '../consume/flush-batch.ts';
import { TallyConflict } from '../consume/tally.ts';

/** A message with a body, after its idempotency keys were looked at. */
export interface JudgedMessage {
  message: HeldMessage;
  /** What is to be added. */
  counted: Increment[];
  /** How many increments were counted before, under the same key with the same payload. */
  repeated: number;
  /** What came under a key that had another payload, as JSON. */
  reused: string[];
}

/** What one key decides about: an increment, or a batch as a whole. */
interface Claim extends KeyClaim {
  judged: JudgedMessage;
  increments: Increment[];
}

/**
 * Step 2 of the flush: claims the idempotency keys of fresh messages and judges their increments.
 * Payloads are compared as increments, not as bytes. Increments without a key are counted.
 */
export async function claimIdempotencyKeys(
  db: Kysely<Database>,
  fresh: HeldMessage[],
): Promise<JudgedMessage[]> {
  const all: JudgedMessage[] = [];
  const claims: Claim[] = [];
  for (const message of fresh) {
    if (message.body?.envelope === undefined) continue;
    const judged: JudgedMessage = { message, counted: [], repeated: 0, reused: [] };
    all.push(judged);
    claims.push(...readClaims(judged, message.body.envelope.idempotency_key));
  }

  const firsts = new Map<string, Claim>();
  for (const claim of claims) if (!firsts.has(claim.key)) firsts.set(claim.key, claim);
  const known = await claimKeys(
    db,
    [...firsts.values()].toSorted((left, right) => (left.key < right.key ? -1 : 1)),
  );
  const payloads = await findKeyPayloads(db, known);
  // Pruned between the two statements; the messages come again.
  if (payloads.size < known.length) throw new TallyConflict('an idempotency key vanished');

  for (const claim of claims) judge(claim, firsts, payloads);
  return all;
}

function readClaims(judged: JudgedMessage, batchKey: string | undefined): Claim[] {
  const { message, counted } = judged;
  const increments = message.body?.envelope?.increments ?? [];
  const source = message.body?.subject.split('.').slice(1).join('.') ?? '';
  const storedAt = new Date(message.storedAtMs).toISOString();
  const claim = (idempotencyKey: string, covered: Increment[]): Claim => ({
    key: digest(`${source} ${idempotencyKey}`),
    payload: digest(covered.map(canonical).join('\n')),
    storedAt,
    judged,
    increments: covered,
  });
  if (batchKey !== undefined) return [claim(batchKey, increments)];

  const claims: Claim[] = [];
  for (const increment of increments) {
    if (increment.idempotency_key === undefined) counted.push(increment);
    else claims.push(claim(increment.idempotency_key, [increment]));
  }
  return claims;
}

function judge(
  claim: Claim,
  firsts: Map<string, Claim>,
  /** Of the claims that were there before. */
  payloads: Map<string, string>,
): void {
  const { judged, key, payload, increments } = claim;
  const first = firsts.get(key);
  const before = payloads.get(key);
  const winner = before ?? first?.payload;
  if (first === claim && before === undefined) judged.counted.push(...increments);
  else if (winner === payload) judged.repeated += increments.length;
  else judged.reused.push(...increments.map(encodeIncrement));
}

function canonical({ key, value }: Increment): string {
  return encodeIncrement({ key, value });
}
