import { StoresDisagree } from '../settle/compare-stores.ts';
import { isDataError, isProgramError, isRefusal, isTooSlow } from './database-error.ts';
import { FlushConflict } from './flush-conflict.ts';

/**
 * What follows a failed flush:
 *   retry      flush the same batch again, after a pause;
 *   separate   something in it is refused: leave that out, down to the increment;
 *   halve      it is too much for one transaction;
 *   redeliver  return it to the broker, which delivers it again at once; then its bodies are kept;
 *   give-up    return it with everything held, and pull no more until the database answers;
 *   hold       return it; nothing more is pulled until stream and database agree: an operator must act.
 */
export type Consequence = 'retry' | 'separate' | 'halve' | 'redeliver' | 'give-up' | 'hold';

export interface FailedAttempt {
  /** 0 for the first attempt. */
  attempt: number;
  isTimeUp: boolean;
}

/** An error that is not known to pass may do so all the same. */
export const TRIES_BEFORE_SEPARATING = 2;

/** The first row that applies decides. */
const CONSEQUENCES: {
  applies: (error: unknown, failed: FailedAttempt) => boolean;
  consequence: Consequence;
}[] = [
  { applies: (error) => error instanceof StoresDisagree, consequence: 'hold' },
  { applies: (error) => error instanceof FlushConflict, consequence: 'redeliver' },
  { applies: (error) => isDataError(error), consequence: 'separate' },
  {
    applies: (error, { attempt }) => isRefusal(error) && attempt >= TRIES_BEFORE_SEPARATING,
    consequence: 'separate',
  },
  // Not at the first attempt: a connection that breaks can cause such errors too.
  {
    applies: (error, { attempt }) => isProgramError(error) && attempt > 0,
    consequence: 'separate',
  },
  { applies: (error, { attempt }) => isTooSlow(error) && attempt > 0, consequence: 'halve' },
  { applies: (_error, { isTimeUp }) => isTimeUp, consequence: 'give-up' },
  { applies: () => true, consequence: 'retry' },
];

export function consequenceOf(error: unknown, failed: FailedAttempt): Consequence {
  return CONSEQUENCES.find(({ applies }) => applies(error, failed))!.consequence;
}

/** Thrown for a batch that goes back to the broker. */
export class FlushAborted extends Error {
  override readonly name = 'FlushAborted';
  readonly consequence: 'redeliver' | 'give-up' | 'hold';

  constructor(consequence: FlushAborted['consequence'], cause: unknown) {
    super((cause as Error).message, { cause });
    this.consequence = consequence;
  }
}
