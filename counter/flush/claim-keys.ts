import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { digestHex } from '../../schema/digest.ts';
import type { Increment } from '../../schema/increment.ts';
import { digestIncrements, encodeIncrement } from '../../schema/message/envelope.ts';
import type { HeldMessage } from '../consume/flush-batch.ts';
import { FlushConflict } from './flush-conflict.ts';
import { claimKeys, findKeyPayloads, storedPart, type KeyClaim } from './idempotency-keys.ts';

/** A message with a body, and what its idempotency keys decided. */
export interface JudgedMessage {
  message: HeldMessage;
  /** Increments to add. */
  counted: Increment[];
  /** How many increments were counted before, under the same key with the same payload. */
  repeated: number;
  /** Increments whose key came with another payload, as JSON. */
  reused: string[];
  /** Increments that the database refuses, as JSON, with SQLSTATE and message. */
  refused: { text: string; error: string }[];
}

/** What one key covers: an increment, or a whole batch. */
export interface Claim extends KeyClaim {
  judged: JudgedMessage;
  increments: Increment[];
}

/**
 * Step 2 of the flush: claims the idempotency keys of fresh messages and decides which increments count.
 * Payloads are compared as increments, not as bytes. Increments without a key are counted.
 *
 * @throws FlushConflict if a key was pruned between the two statements; the messages are delivered again.
 */
export async function claimIdempotencyKeys(
  db: Kysely<Database>,
  fresh: HeldMessage[],
): Promise<JudgedMessage[]> {
  const { messages, claims } = readClaims(fresh);
  const firsts = firstOfEachKey(claims);
  const known = await claimKeys(db, firsts, rememberedFrom(fresh));
  const payloads = await findKeyPayloads(db, known);
  if (payloads.size < known.length) throw new FlushConflict('idempotency-key-pruned');
  judge(claims, firsts, payloads);
  return messages;
}

/** Increments that need no claim are in `counted` already. */
export function readClaims(fresh: HeldMessage[]): { messages: JudgedMessage[]; claims: Claim[] } {
  const messages: JudgedMessage[] = [];
  const claims: Claim[] = [];
  for (const message of fresh) {
    if (message.body?.envelope === undefined) continue;
    const judged: JudgedMessage = { message, counted: [], repeated: 0, reused: [], refused: [] };
    messages.push(judged);
    claims.push(...claimsOf(judged));
  }
  return { messages, claims };
}

function claimsOf(judged: JudgedMessage): Claim[] {
  const { message, counted } = judged;
  const { idempotency_key: batchKey, increments } = message.body!.envelope!;
  const source = message.body!.subject.split('.').slice(1).join('.');
  const claim = (idempotencyKey: string, covered: Increment[]): Claim => ({
    key: digestHex(`${source} ${idempotencyKey}`),
    payload: digestIncrements(covered),
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

/** The latest time of all, so that no key is forgotten early; of a parked message, when it counts. */
export function rememberedFrom(messages: HeldMessage[]): number {
  return messages.reduce(
    (latest, { unparkedAtMs, storedAtMs }) => Math.max(latest, unparkedAtMs ?? storedAtMs),
    0,
  );
}

/**
 * Sorts increments into counted, repeated and reused. The first payload of a key decides: the one in the
 * database, or else the first in the batch.
 *
 * @param payloads by key, of the claims that existed before, as the table has them.
 */
export function judge(
  claims: Claim[],
  firsts: ReadonlyMap<string, Claim>,
  payloads: ReadonlyMap<string, string>,
): void {
  for (const claim of claims) {
    const { judged, key, payload, increments } = claim;
    const before = payloads.size === 0 ? undefined : payloads.get(storedPart(key));
    const first = firsts.get(key);
    if (before === undefined && first === claim) judged.counted.push(...increments);
    else if ((before ?? storedPart(first!.payload)) === storedPart(payload))
      judged.repeated += increments.length;
    else judged.reused.push(...increments.map(encodeIncrement));
  }
}

export function firstOfEachKey(claims: Claim[]): Map<string, Claim> {
  const firsts = new Map<string, Claim>();
  for (const claim of claims) if (!firsts.has(claim.key)) firsts.set(claim.key, claim);
  return firsts;
}
