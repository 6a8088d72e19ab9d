import { Type, type Static } from 'typebox';
import { KeyUses } from './key-uses.ts';

const Count = Type.Integer({ minimum: 0 });
const Milliseconds = Type.Number({ minimum: 0 });

/** What is wrong, as telemetry/diagnosis/findings.ts has it. */
const Finding = Type.Object({
  name: Type.String(),
  level: Type.Enum(['bad', 'warning'], { type: 'string' }),
  cause: Type.String(),
  evidence: Type.String(),
  effect: Type.String(),
  next: Type.String(),
  runbook: Type.String(),
});

/** Which process it is. */
const Place = {
  pid: Count,
  host: Type.String(),
  /** As its log is named; absent from an earlier version. */
  instance: Type.Optional(Type.String({ maxLength: 64 })),
  /** Of its process id; absent where the system has none. */
  pid_namespace: Type.Optional(Type.String({ maxLength: 64 })),
};

/** What a gateway reports of itself. Counts are since its start. */
export const GatewayStats = Type.Object({
  ...Place,
  increments_accepted: Count,
  /** Messages that the broker has on disk. */
  messages_published: Count,
  /** Answers of any kind, by HTTP status. */
  responses: Type.Record(Type.String(), Count),
  increments_waiting: Count,
  /** How far its machine's clock is ahead of the broker's; negative if it is behind. */
  clock_ahead_ms: Type.Optional(Type.Number()),
  /** Whether an operator has stated that the brokers sync each message to disk. */
  is_sync_stated: Type.Optional(Type.Boolean()),
  /** Why the stream does not store what this gateway publishes; absent while it does. */
  store_problem: Type.Optional(
    Type.Object({
      failure: Type.String({ maxLength: 64 }),
      reason: Type.String({ maxLength: 512 }),
      remedy: Type.String({ maxLength: 512 }),
    }),
  ),
  /** All that it knows to be wrong with the mesh; only on request, not in heartbeats. */
  findings: Type.Optional(Type.Array(Finding, { maxItems: 64 })),
  /** Only on request, not in heartbeats; absent where authentication is off. */
  key_uses: Type.Optional(KeyUses),
});
export type GatewayStats = Static<typeof GatewayStats>;

/** What a counter service reports of itself in the same way. */
export const CounterStats = Type.Object({
  ...Place,
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
  /** Age of the oldest increment at a commit, the maximum of the last minute. */
  worst_staleness_ms: Milliseconds,
  /** How far its machine's clock is ahead of the broker's; negative if it is behind. */
  clock_ahead_ms: Type.Optional(Type.Number()),
  /** False from a batch that could not be committed until the database answers again. */
  database_connected: Type.Optional(Type.Boolean()),
  /** What the counters hold minus what the messages added, at the last audit; absent before it. */
  audit_difference: Type.Optional(Type.Number()),
});
export type CounterStats = Static<typeof CounterStats>;

export const LATEST_FLUSHES_MAX = 40;
export const LATEST_DEAD_LETTERS_MAX = 10;
/** How many of the keys that grew most are reported. */
export const GROWING_KEYS_MAX = 10;

/** Dead letters that are shown; the commands list all. */
export const SHOWN_DEAD_LETTERS_MAX = 5;
const SHORT = { maxLength: 300 };

/** What happened at a counter service lately, for a console that may be opened afterwards. */
export const CounterActivity = Type.Object({
  database_connected: Type.Boolean(),
  /** What keeps it from writing; absent while nothing does. */
  database_problem: Type.Optional(
    Type.Object({
      kind: Type.Enum(['away', 'silent', 'read-only', 'full', 'denied', 'refuses'], {
        type: 'string',
      }),
      detail: Type.String(SHORT),
    }),
  ),
  /** The stream as this counter service read it last; absent before that. */
  stream: Type.Optional(
    Type.Object({
      messages: Count,
      oldest_age_ms: Milliseconds,
      bytes: Type.Optional(Count),
      bytes_max: Type.Optional(Count),
      /** Of all messages that were ever stored in it. */
      last_sequence: Type.Optional(Count),
    }),
  ),
  /** Replicas that are not current, as `INCREMENTS 2 of 3 (nats-2 is away)`; absent while all are. */
  replicas_behind: Type.Optional(Type.String(SHORT)),
  /** Settings of stream and consumer that break a promise; absent while none does. */
  setting_faults: Type.Optional(Type.Array(Type.String(SHORT), { maxItems: 5 })),
  /** How many increments the ledger says are counted, ever; absent before it was read. A decimal string. */
  increments_counted: Type.Optional(Type.String({ pattern: '^\\d{1,40}$' })),
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
  /** Messages of a newer version that no counter service counts; absent before they were looked for. */
  parked_messages: Type.Optional(Count),
  is_parking_full: Type.Optional(Type.Boolean()),
  /** Why nothing is counted until a person has acted; absent while that is not so. */
  counting_problem: Type.Optional(Type.String({ maxLength: 1_000 })),
  counting_problem_kind: Type.Optional(
    Type.Enum(['consumer-gone', 'consumer-paused', 'stores-disagree'], { type: 'string' }),
  ),
  /**
   * Why accepted increments may be lost, so that gateways are not ready. Where it concerns one database
   * only, with that.
   */
  risk: Type.Optional(
    Type.Object({
      text: Type.String({ maxLength: 1_000 }),
      /** A number of 20 digits, one of 10, and the name of a schema. */
      database: Type.Optional(Type.String({ maxLength: 128 })),
    }),
  ),
  /** What is in the stream of dead letters, under the numbers of `dead-letters list`; absent before it was read. */
  dead_letters_waiting: Type.Optional(
    Type.Object({
      messages: Count,
      latest: Type.Array(
        Type.Object({
          number: Count,
          reason: Type.String({ maxLength: 64 }),
          subject: Type.String({ maxLength: 100 }),
          /** Its beginning. */
          payload: Type.String({ maxLength: 200 }),
          age_ms: Milliseconds,
        }),
        { maxItems: SHOWN_DEAD_LETTERS_MAX },
      ),
    }),
  ),
  /** By reason, since this counter service's start. */
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
  /** Set in the last heartbeat of a service that stops normally. */
  is_stopping: Type.Boolean(),
};

/** What every service publishes once a second. */
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

/** What a gateway sends to the console: what is wrong, and the last heartbeat it received from each service. */
export interface MeshEvent {
  /** The headline first; empty where all is well. As telemetry/diagnosis/findings.ts has them. */
  findings: Static<typeof Finding>[];
  /** The age of the oldest increment that is not counted; null if that is unknown. */
  staleness_ms: number | null;
  /** The id of that gateway. */
  reported_by: string;
  /** Whether that gateway reaches the broker; if not, it receives no heartbeats of others. */
  broker_connected: boolean;
  /** How long it has received heartbeats; a service that runs sends one within a second or two. */
  listening_ms: number;
  /** `silent_ms` is the time since the heartbeat was received. */
  instances: (Heartbeat & { silent_ms: number })[];
}
