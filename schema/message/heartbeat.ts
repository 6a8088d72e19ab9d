import { Type, type Static } from 'typebox';

const Count = Type.Integer({ minimum: 0 });
const Milliseconds = Type.Number({ minimum: 0 });

/** What a gateway tells of itself through NATS discovery. Counts are since its start. */
export const GatewayStats = Type.Object({
  pid: Count,
  host: Type.String(),
  increments_accepted: Count,
  /** Messages that the broker has on disk. */
  messages_published: Count,
  /** Answers of any kind, by HTTP status. */
  responses: Type.Record(Type.String(), Count),
  increments_waiting: Count,
});
export type GatewayStats = Static<typeof GatewayStats>;

/** What a counter tells of itself in the same way. */
export const CounterStats = Type.Object({
  pid: Count,
  host: Type.String(),
  messages_consumed: Count,
  messages_committed: Count,
  increments_committed: Count,
  rows_committed: Count,
  /** Repeats that the ledger refused. */
  already_applied: Count,
  dead_letters: Count,
  messages_redelivered: Count,
  messages_nakked: Count,
  messages_held: Count,
  keys_held: Count,
  /** Committed messages that are not yet purged. */
  acks_pending: Count,
  oldest_held_ms: Milliseconds,
  last_flush_ms: Milliseconds,
  /** The oldest increment at the commit of any flush of the last minute. */
  worst_staleness_ms: Milliseconds,
});
export type CounterStats = Static<typeof CounterStats>;

export const LATEST_FLUSHES_MAX = 40;
export const LATEST_DEAD_LETTERS_MAX = 10;
/** Keys that are told as the ones that grew most. */
export const GROWING_KEYS_MAX = 10;

/** What happened at a counter lately; for the console, which may be opened after it happened. */
export const CounterActivity = Type.Object({
  database_connected: Type.Boolean(),
  /** The stream as this counter saw it last; absent before that. */
  stream: Type.Optional(Type.Object({ messages: Count, oldest_age_ms: Milliseconds })),
  /** The last few minutes' flushes, oldest first. Ages, since clocks differ. */
  flushes: Type.Array(
    Type.Object({
      number: Count,
      age_ms: Milliseconds,
      duration_ms: Milliseconds,
      /** Of the oldest increment at the commit; null where the flush added nothing. */
      staleness_ms: Type.Union([Milliseconds, Type.Null()]),
      rows: Count,
    }),
    { maxItems: LATEST_FLUSHES_MAX },
  ),
  /** By reason, since this counter's start. */
  dead_letters: Type.Record(Type.String(), Count),
  latest_dead_letters: Type.Array(
    Type.Object({ reason: Type.String(), sequence: Count, age_ms: Milliseconds }),
    { maxItems: LATEST_DEAD_LETTERS_MAX },
  ),
  /** What was added in the last minute to the keys that grew most, as decimal strings. */
  growing_keys: Type.Array(
    Type.Object({ key: Type.String(), added: Type.String({ pattern: '^\\d{1,60}$' }) }),
    {
      maxItems: GROWING_KEYS_MAX,
    },
  ),
});
export type CounterActivity = Static<typeof CounterActivity>;

const Instance = {
  id: Type.String({ maxLength: 64 }),
  version: Type.String({ maxLength: 64 }),
  uptime_ms: Milliseconds,
  /** The last heartbeat of a service that stops in order. */
  is_stopping: Type.Boolean(),
};

/** What every service tells all others about twice a second. */
export const Heartbeat = Type.Union([
  Type.Object({ ...Instance, name: Type.Literal('gateway'), stats: GatewayStats }),
  Type.Object({
    ...Instance,
    name: Type.Literal('counter'),
    stats: CounterStats,
    activity: CounterActivity,
  }),
]);
export type Heartbeat = Static<typeof Heartbeat>;

/** What a gateway tells the console: everyone's last heartbeat, as heard by this gateway. */
export interface MeshEvent {
  /** The gateway that tells. */
  reported_by: string;
  /** Whether that gateway reaches the broker; if not, it hears of nobody else. */
  broker_connected: boolean;
  /** How long it has listened: who was not heard within a second or two is not there. */
  listening_ms: number;
  /** Silence is the time since the heartbeat was heard. */
  instances: (Heartbeat & { silent_ms: number })[];
}
