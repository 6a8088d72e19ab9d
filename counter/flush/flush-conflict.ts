/** Why a batch must be delivered again, with its bodies kept. */
const REASONS = {
  'tally-split': 'a part of the messages in the tally was counted before',
  'id-reused-in-tally': 'a message in the tally has the id of another one',
  'refused-in-tally': 'a message in the tally cannot be counted',
  'too-slow-in-tally': 'the tally is too much for one transaction',
  'ledger-row-pruned': 'a row of the ledger was pruned during the flush',
  'idempotency-key-pruned': 'an idempotency key was pruned during the flush',
};
export type ConflictReason = keyof typeof REASONS;

/**
 * Thrown if a batch can't be flushed as it is: its tally mixes messages that must be added with others that
 * must not, and a sum can't be split; or the database changed between two statements. When the messages are
 * delivered again, they keep their bodies until the ledger was queried.
 */
export class FlushConflict extends Error {
  override readonly name = 'FlushConflict';
  readonly reason: ConflictReason;

  constructor(reason: ConflictReason, cause?: unknown) {
    super(REASONS[reason], { cause });
    this.reason = reason;
  }
}
