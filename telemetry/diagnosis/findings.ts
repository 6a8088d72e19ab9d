/*
 * All that can be wrong with a mesh. `/readyz`, the console, `npm run mesh -- status`, the metric
 * mesh_findings and the texts of the alerts say it by this table; each entry has a section of its name in
 * docs/runbook.md, and an alert of its name where waiting for a person is not enough.
 *
 * The order is that of causes: where several are true, the first one is the headline.
 */

/**
 * - `bad`: a promise is broken now, or increments are refused.
 * - `warning`: the promises hold, and somebody should look.
 */
export type Level = 'bad' | 'warning';

interface Entry {
  level: Level;
  /** What is wrong: a sentence without its end. */
  cause: string;
  /** What follows for increments: a sentence without its end. */
  effect: string;
  /** What to do, or where to look: a sentence without its end. */
  next: string;
}

const REFUSED = 'Increments are refused with 503';
const WAITING = 'Increments are accepted and wait in the stream, uncounted';
const HOLDING = 'Counts stay right';

export const FINDINGS = {
  BrokerAway: {
    level: 'bad',
    cause: 'The broker can not be reached',
    effect: REFUSED,
    next: 'See whether nats-server runs, and its log; of a cluster two of the three must run',
  },
  BrokerSilent: {
    level: 'bad',
    cause: 'The broker does not answer',
    effect: REFUSED,
    next: 'See whether nats-server is frozen or overloaded, and the network between',
  },
  StreamDenied: {
    level: 'bad',
    cause: 'The broker does not let the gateway publish',
    effect: REFUSED,
    next: 'Give its user the permissions in docs/other-nats.md',
  },
  StreamAway: {
    level: 'bad',
    cause: 'No server stores the stream',
    effect: REFUSED,
    next: 'Wait some seconds for an election or a restart; if it was deleted, `npm run provision` makes it',
  },
  StreamFull: {
    level: 'bad',
    cause: 'The stream is full',
    effect: REFUSED,
    next: 'It has room once counter services have caught up: see whether they run',
  },
  StreamRefuses: {
    level: 'bad',
    cause: 'The stream refuses messages',
    effect: REFUSED,
    next: '`npm run provision` corrects its settings; a sealed stream must be made again',
  },
  StreamFails: {
    level: 'bad',
    cause: 'The broker can not write the stream',
    effect: REFUSED,
    next:
      'Make room on the disk of its store, or repair it, then restart nats-server, which writes nothing until ' +
      'then (npm start restarts its own)',
  },
  StreamSilent: {
    level: 'bad',
    cause: 'The stream acknowledges nothing',
    effect: REFUSED,
    next:
      'See whether the disk of its server is or was full, after which nats-server must be restarted (npm ' +
      'start does that), and whether the stream has no_ack',
  },
  StreamUnsafe: {
    level: 'bad',
    cause: 'Accepted increments may be lost',
    effect: 'No gateway is ready, but what is sent all the same is answered 200 and may be lost',
    next: 'Do what it says, and stop whoever sends without asking `/readyz`',
  },
  NoGateway: {
    level: 'bad',
    cause: 'No gateway answers',
    effect: 'No increment is accepted',
    next: 'Start the gateways again; their logs list every wrong setting',
  },
  StoresDisagree: {
    level: 'bad',
    cause: 'Stream and database do not fit together',
    effect: WAITING,
    next: 'Do what it says',
  },
  ConsumerGone: {
    level: 'bad',
    cause: 'The consumer of the stream is not there',
    effect: WAITING,
    next: '`npm run provision` makes it',
  },
  ConsumerPaused: {
    level: 'bad',
    cause: 'The consumer of the stream is paused',
    effect: WAITING,
    next: '`npm run provision` resumes it',
  },
  DatabaseAway: {
    level: 'bad',
    cause: 'PostgreSQL can not be reached',
    effect: WAITING,
    next: 'See whether it runs, its log and its disk; counting goes on by itself',
  },
  DatabaseSilent: {
    level: 'bad',
    cause: 'PostgreSQL does not answer',
    effect: WAITING,
    next: 'See whether it is frozen, overloaded or waits for a lock, and the network between',
  },
  DatabaseReadOnly: {
    level: 'bad',
    cause: 'PostgreSQL takes no writes: it is read-only',
    effect: WAITING,
    next: 'See whether DATABASE_URL leads to a standby, or default_transaction_read_only is on',
  },
  DatabaseFull: {
    level: 'bad',
    cause: 'PostgreSQL has no room on its disk, or no connection or memory to spare',
    effect: WAITING,
    next: 'Make room, or raise the limit that the evidence names; counting goes on by itself',
  },
  DatabaseDenied: {
    level: 'bad',
    cause: 'PostgreSQL does not let the counter services write',
    effect: WAITING,
    next: '`npm run provision` grants what is missing, or `npm run mesh -- sql` prints it for a DBA',
  },
  DatabaseRefuses: {
    level: 'bad',
    cause: 'PostgreSQL refuses what counter services write',
    effect: WAITING,
    next: 'Look for a trigger, a constraint, a policy or an extension by the SQLSTATE',
  },
  NoCounter: {
    level: 'bad',
    cause: 'No counter service runs',
    effect: WAITING,
    next: 'Start one; its log says why the last one ended',
  },
  CounterGone: {
    level: 'warning',
    cause: 'A counter service has gone without stopping',
    effect: 'What it held is counted by the others, within 13 s',
    next: 'See its log, and whether it is started again',
  },
  AuditDifference: {
    level: 'bad',
    cause: 'The books do not balance: a count is wrong, or somebody wrote to the tables by hand',
    effect: 'Counters may be wrong',
    next: 'Keep both stores as they are, and run `npm run mesh -- audit`',
  },
  SettingChanged: {
    level: 'bad',
    cause: 'A setting of the stream or the consumer breaks a promise',
    effect: 'That promise does not hold',
    next: '`npm run provision` corrects it',
  },
  ParkingFull: {
    level: 'bad',
    cause: 'There is no room for more messages of a newer version',
    effect: 'Further ones stay in the stream, and 100 000 of them stop all counting',
    next: 'Upgrade the counter services, or stop who publishes them',
  },
  IncrementsStale: {
    level: 'bad',
    cause: 'Increments wait for longer than ten seconds',
    effect: 'Counts are late, and none is lost',
    next: 'See how long flushes take, and whether one more counter service helps',
  },
  SlowFlush: {
    level: 'warning',
    cause: 'Flushes take seconds',
    effect: `${HOLDING}, and little of the ten seconds is left`,
    next: "See PostgreSQL's log for lock waits and checkpoints, and its disk; more counter services do not help",
  },
  StreamNearlyFull: {
    level: 'warning',
    cause: 'The stream is nearly full',
    effect: 'Once it is full, increments are refused with 503',
    next: 'See whether counter services keep up; provision with a larger STREAM_BYTES_MAX where they do',
  },
  ReplicaLost: {
    level: 'warning',
    cause: 'Not every replica is current',
    effect: 'The loss of another server could lose accepted increments',
    next: 'See whether the servers that the evidence names run and reach the others',
  },
  GatewayGone: {
    level: 'warning',
    cause: 'A gateway has gone without stopping',
    effect: 'The others accept increments',
    next: 'See its log, and whether it is started again',
  },
  MessagesParked: {
    level: 'warning',
    cause: 'A newer publisher is at work: messages of a newer version are parked',
    effect: 'They wait, uncounted; everything else is counted',
    next: 'Upgrade the counter services, and they are counted',
  },
  DeadLetters: {
    level: 'warning',
    cause: 'Dead letters wait',
    effect: 'They are not counted; everything else is',
    next: '`npm run mesh -- dead-letters list` shows why: replay or purge them',
  },
  ClockSkew: {
    level: 'warning',
    cause: "A clock differs from the broker's",
    effect: `${HOLDING} up to half an hour of difference, since ids go by the broker's clock`,
    next: 'Synchronize it (NTP)',
  },
  SyncUnstated: {
    level: 'warning',
    cause:
      'Whether the brokers sync each message to disk is not stated, and they tell it no service',
    effect: 'An increment that was answered 200 may be lost in a power cut of theirs',
    next: 'Set `jetstream { sync_interval: always }` in their configuration, then NATS_SYNC=always in that of the mesh',
  },
} satisfies Record<string, Entry>;

export type FindingName = keyof typeof FINDINGS;

/** Something that is wrong now, for whoever is on call. Each text is a sentence without its end. */
export interface Finding {
  name: FindingName;
  level: Level;
  cause: string;
  /** What was observed, by whom, with values. */
  evidence: string;
  effect: string;
  next: string;
  /** The section of the runbook. */
  runbook: string;
}

/** @param found what the table does not know, or says only in general. */
export function findingOf(
  name: FindingName,
  found: Partial<Omit<Finding, 'name' | 'runbook'>> & { evidence: string },
): Finding {
  return { name, ...FINDINGS[name], ...found, runbook: runbookOf(name) };
}

export function runbookOf(name: string): string {
  return `docs/runbook.md#${name.toLowerCase()}`;
}

/** Cause, evidence, effect and next step in one line. */
export function describeFinding({ cause, evidence, effect, next }: Finding): string {
  const because = evidence === '' ? '' : ` (${evidence})`;
  return `${cause}${because}. ${effect}. ${next}.`;
}
