/** Why a batch must come again from the broker, with its bodies. */
const REASONS = {
  'tally-split': 'a part of the messages in the tally was counted before',
  'id-reused-in-tally': 'a message in the tally has the id of another one',
  'refused-in-tally': 'a message in the tally can not be counted',
  'ledger-row-pruned': 'a row of the ledger was pruned during the flush',
  'idempotency-key-pruned': 'an idempotency key was pruned during the flush',
};
export type ConflictReason = keyof typeof REASONS;

/**
 * Raised where a batch can't be flushed as it is: its tally holds a message that must not be added beside
 * others that must, and sums can't be taken apart again; or the database changed between two statements.
 * The messages come again, and then keep their bodies until the ledger has answered.
 */
export class FlushConflict extends Error {
  override readonly name = 'FlushConflict';
  readonly reason: ConflictReason;

  constructor(reason: ConflictReason, cause?: unknown) {
    super(REASONS[reason], { cause });
    this.reason = reason;
  }
}
