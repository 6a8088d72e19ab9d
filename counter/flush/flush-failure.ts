import { StoresDisagree } from '../settle/compare-stores.ts';
import { isDataError, isFaultOfOurs } from './database-error.ts';
import { FlushConflict } from './flush-conflict.ts';

/**
 * What follows a flush that failed:
 *   retry       the same batch again, after a pause;
 *   bisect      something in it is refused: it is halved down to the message;
 *   take-again  it goes back to the broker and comes again with its bodies, at once;
 *   give-up     it goes back, with all that is held, and no more is taken until the database answers;
 *   end         it goes back, and the counter service stops: a person must look.
 */
export type Consequence = 'retry' | 'bisect' | 'take-again' | 'give-up' | 'end';

export interface FailedAttempt {
  /** 0 for the first attempt. */
  attempt: number;
  isTimeUp: boolean;
}

/** The first line that applies decides. */
const CONSEQUENCES: {
  applies: (error: unknown, failed: FailedAttempt) => boolean;
  consequence: Consequence;
}[] = [
  { applies: (error) => error instanceof StoresDisagree, consequence: 'end' },
  { applies: (error) => error instanceof FlushConflict, consequence: 'take-again' },
  { applies: (error) => isDataError(error), consequence: 'bisect' },
  // Some of our own faults pass: a connection that breaks shows itself in odd ways. So not at once.
  { applies: (error, { attempt }) => isFaultOfOurs(error) && attempt > 0, consequence: 'bisect' },
  { applies: (_error, { isTimeUp }) => isTimeUp, consequence: 'give-up' },
  { applies: () => true, consequence: 'retry' },
];

export function consequenceOf(error: unknown, failed: FailedAttempt): Consequence {
  return CONSEQUENCES.find(({ applies }) => applies(error, failed))!.consequence;
}

/** Raised for a batch that goes back to the broker. */
export class FlushAborted extends Error {
  override readonly name = 'FlushAborted';
  readonly consequence: 'take-again' | 'give-up' | 'end';

  constructor(consequence: FlushAborted['consequence'], cause: unknown) {
    super((cause as Error).message, { cause });
    this.consequence = consequence;
  }
}
