/*
 * What is known of a mesh by whoever looks at it: a gateway, by its own connections and by what services
 * report, or a command. What nobody has looked at is undefined, and means nothing.
 */
import type {
  CounterActivity,
  CounterStats,
  GatewayStats,
} from '../../schema/message/heartbeat.ts';

export interface Observations {
  broker: Reached;
  /** Why the stream stores nothing, as the gateway that looks sees it; those of others are in their stats. */
  store?: { failure: StoreFailure; detail: string } | undefined;
  /** Why accepted increments may be lost. */
  risk?: string | undefined;
  database?: Reached | undefined;
  /** Undefined until whoever looks would have heard of each that runs. */
  services?: Service[] | undefined;
  /** That should run, and have not answered. */
  missing?: MissingService[] | undefined;
  stream?: StreamFacts | undefined;
  consumer?: 'there' | 'gone' | 'paused' | undefined;
  /** Settings that break a promise, a sentence each without its end. */
  settings?: string[] | undefined;
  /** Of each replicated part that is not current: `INCREMENTS 2 of 3 (nats-2 is away)`. */
  replicasBehind?: string | undefined;
  /** The age of the oldest increment that is not counted. */
  stalenessMs?: number | undefined;
  /** Why stream and database do not fit together. */
  disagreement?: string | undefined;
  parked?: { messages: number; version?: number | null; isFull: boolean } | undefined;
  deadLetters?: number | undefined;
}

/** How a server answers whoever looks. */
export interface Reached {
  state: 'answers' | 'away' | 'silent' | DatabaseTrouble;
  /** What it said, or who says so. */
  detail: string;
}

export type DatabaseTrouble = 'read-only' | 'full' | 'denied' | 'refuses';

/** As in a gateway's `store_problem`. */
export type StoreFailure =
  'full' | 'refused' | 'failed' | 'denied' | 'away' | 'silent' | 'broker-silent';

export interface StreamFacts {
  bytes: number;
  bytesMax: number;
}

export type Service = ServiceState &
  (
    | { kind: 'gateway'; stats: GatewayStats }
    | { kind: 'counter'; stats: CounterStats; activity?: CounterActivity | undefined }
  );

export interface MissingService extends ServiceState {
  kind: Service['kind'];
}

interface ServiceState {
  /** As its log is named. */
  instance: string;
  /** Since its last report. */
  silentMs: number;
  /** It said that it stops. */
  isStopping: boolean;
  /** What its process is, where it can be looked at. */
  process?: 'died' | 'frozen' | 'runs' | undefined;
}
