/*
 * Whether stream and database agree, as one counter service has seen it. Pure: store-health.ts reads the
 * stores, and acts.
 *
 * A disagreement is suspected at first sight: from then on nothing is removed from the stream. Once it is
 * said, it stands: nothing is pulled either, until the stores agree. Messages that are gone may be held by
 * another counter service, so that is said only when none can hold them any more.
 */
import type { StoresDisagree } from './compare-stores.ts';
import type { StreamState } from './stream-state.ts';

export interface Agreement {
  /** Of the stream whose messages are held. */
  readonly incarnation: number;
  /** Every removed message up to this sequence was found settled. */
  readonly provenThrough: number;
  /** `since` is a time of performance.now(). */
  readonly suspicion:
    | { readonly error: StoresDisagree; readonly since: number; readonly isSaid: boolean }
    | undefined;
  /** Set for good once another stream is in the place of this one. */
  readonly madeAgain: { readonly error: StoresDisagree; readonly incarnation: number } | undefined;
  /** Set for good once a message was seen in the place of another, which a comparison may not show. */
  readonly replaced: StoresDisagree | undefined;
}

export function startAgreement({ incarnation, firstSequence }: StreamState): Agreement {
  return {
    incarnation,
    provenThrough: firstSequence - 1,
    suspicion: undefined,
    madeAgain: undefined,
    replaced: undefined,
  };
}

/** Several comparisons may run at once, so an older one may end last. */
export function afterAgreed(agreement: Agreement, { firstSequence }: StreamState): Agreement {
  const provenThrough = Math.max(agreement.provenThrough, firstSequence - 1);
  return { ...agreement, provenThrough, suspicion: undefined };
}

/** @param look.graceMs how long another counter service may hold messages that are gone. */
export function afterDisagreed(
  agreement: Agreement,
  error: StoresDisagree,
  look: { now: number; graceMs: number },
): Agreement {
  const { suspicion } = agreement;
  const isSame = suspicion?.error.kind === error.kind;
  const since = isSame ? suspicion.since : look.now;
  const graceMs = error.kind === 'messages-gone' ? look.graceMs : 0;
  const isSaid = (isSame && suspicion.isSaid) || look.now - since >= graceMs;
  return { ...agreement, suspicion: { error, since, isSaid } };
}

export function afterMadeAgain(
  agreement: Agreement,
  error: StoresDisagree,
  incarnation: number,
): Agreement {
  return { ...agreement, madeAgain: { error, incarnation } };
}

export function afterReplaced(agreement: Agreement, error: StoresDisagree): Agreement {
  return { ...agreement, replaced: agreement.replaced ?? error };
}

/** Why nothing is pulled; undefined while messages may be. */
export function findDisagreementSaid({
  suspicion,
  madeAgain,
  replaced,
}: Agreement): StoresDisagree | undefined {
  return madeAgain?.error ?? replaced ?? (suspicion?.isSaid === true ? suspicion.error : undefined);
}

/**
 * Why held messages can't be committed, as far as the stores say. Messages of a stream that was made again
 * would get the sequences of this one. Otherwise what is held is committed, even if other messages are gone
 * or the stream went back: nothing is pulled from a stream that was not compared, so it came from the stream
 * whose sequences the ledger has, and its ids count it once, wherever a copy of it turns up.
 *
 * @param storedAtMs when the latest of them was stored, in stream time.
 */
export function findCommitObstacle(
  { madeAgain }: Agreement,
  storedAtMs: number,
): StoresDisagree | undefined {
  if (madeAgain === undefined || storedAtMs < madeAgain.incarnation) return undefined;
  return madeAgain.error;
}
