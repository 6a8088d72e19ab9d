import { Type, type Static } from 'typebox';

const Count = Type.Integer({ minimum: 0 });
const Milliseconds = Type.Number({ minimum: 0 });

/** What a gateway tells of itself through NATS discovery. Counts are since its start. */
export const GatewayFigures = Type.Object({
  pid: Count,
  host: Type.String(),
  increments_accepted: Count,
  /** Answers of any kind, by HTTP status. */
  responses: Type.Record(Type.String(), Count),
  increments_waiting: Count,
});
export type GatewayFigures = Static<typeof GatewayFigures>;

/** What a counter tells of itself in the same way. */
export const CounterFigures = Type.Object({
  pid: Count,
  host: Type.String(),
  increments_committed: Count,
  /** Repeats that the ledger refused. */
  already_applied: Count,
  dead_letters: Count,
  messages_redelivered: Count,
  messages_given_back: Count,
  messages_held: Count,
  keys_held: Count,
  /** Committed messages that are not yet purged. */
  acks_pending: Count,
  oldest_held_ms: Milliseconds,
  last_flush_ms: Milliseconds,
  /** The oldest increment at the commit of any flush of the last minute. */
  worst_staleness_ms: Milliseconds,
});
export type CounterFigures = Static<typeof CounterFigures>;
