/*
 * Discovery: what the nats CLI shows with `nats micro ls`, `info` and `stats`.
 *
 * The protocol is ADR-32 of nats-architecture-and-design: a service answers requests on
 * `$SRV.PING|INFO|STATS`, each for all services, for those of a name, and for one id. Each service lists
 * one endpoint, its step on the way of an increment, so that the CLI shows the statistics of its real work.
 */
import { errors, nanos, nuid, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { readVersion } from '../schema/version.ts';
import { listen } from './listen.ts';

/** Identifies one process of a kind. */
export interface Identity {
  id: string;
  version: string;
  started: string;
}

export interface DiscoverableService extends Identity {
  /** The kind, the same for all its instances. */
  name: 'gateway' | 'counter';
  description: string;
  metadata: Record<string, string>;
  endpoint: Endpoint;
  /** Called at each `STATS`. */
  readWork: () => Work;
}

export interface Endpoint {
  name: string;
  subject: string;
  /** The name of the group of instances that share the work. */
  queueGroup: string;
  metadata: Record<string, string>;
}

/** What an endpoint has done since the start; `stats` is for programs that know the service. */
export interface Work {
  requests: number;
  errors: number;
  lastError: string;
  processingMs: number;
  stats: object;
}

/** The part of an answer to `STATS` that this project reads. */
export interface ServiceStats {
  name: string;
  id: string;
  version: string;
  started: string;
  endpoints?: { data?: unknown }[] | null;
}

type Verb = 'PING' | 'INFO' | 'STATS';

const TYPES: Record<Verb, string> = {
  PING: 'io.nats.micro.v1.ping_response',
  INFO: 'io.nats.micro.v1.info_response',
  STATS: 'io.nats.micro.v1.stats_response',
};

/** Makes the identity of this process; called once, at its start. */
export function identify(): Identity {
  return { id: nuid.next(), version: readVersion(), started: new Date().toISOString() };
}

/** Answers discovery until the returned function is called. */
export function answerDiscovery(
  connection: NatsConnection,
  service: DiscoverableService,
): () => void {
  const { name, id, version, started, description, metadata, endpoint, readWork } = service;
  const shared = {
    name: endpoint.name,
    subject: endpoint.subject,
    queue_group: endpoint.queueGroup,
  };
  const answers: Record<Verb, () => object> = {
    PING: () => ({}),
    INFO: () => ({ description, endpoints: [{ ...shared, metadata: endpoint.metadata }] }),
    STATS: () => ({ started, endpoints: [{ ...shared, ...asStats(readWork()) }] }),
  };

  const stops = (Object.keys(answers) as Verb[]).flatMap((verb) => {
    const answer = (message: Msg) => {
      const identity = { type: TYPES[verb], name, id, version, metadata };
      message.respond(JSON.stringify({ ...identity, ...answers[verb]() }));
    };
    const all = `$SRV.${verb}`;
    return [all, `${all}.${name}`, `${all}.${name}.${id}`].map((subject) =>
      listen(connection, subject, answer),
    );
  });
  return () => {
    for (const stop of stops) stop();
  };
}

/** How long the first answer may take; each further one has 300 ms, which the client has fixed. */
const FIRST_ANSWER_MS = 1_000;

/** Asks every service on the broker for its stats, including those of other projects. */
export async function discoverServices(connection: NatsConnection): Promise<ServiceStats[]> {
  const found: ServiceStats[] = [];
  try {
    const options = { strategy: 'stall', maxWait: FIRST_ANSWER_MS } as const;
    for await (const message of await connection.requestMany('$SRV.STATS', '', options)) {
      const stats = readStats(message);
      if (stats !== undefined) found.push(stats);
    }
  } catch (error) {
    if (!isNoResponders(error)) throw error;
  }
  return found.toSorted((left, right) => (sortKey(left) < sortKey(right) ? -1 : 1));
}

function asStats({ requests, errors, lastError, processingMs, stats }: Work): object {
  const processing = nanos(Math.round(processingMs));
  return {
    num_requests: requests,
    num_errors: errors,
    last_error: lastError,
    processing_time: processing,
    average_processing_time: requests === 0 ? 0 : Math.trunc(processing / requests),
    data: stats,
  };
}

/** Any program may answer; answers of another shape are ignored. */
function readStats(message: Msg): ServiceStats | undefined {
  try {
    const stats = message.json<ServiceStats & { type?: unknown }>();
    const texts = [stats.name, stats.id, stats.version, stats.started];
    const isStats = stats.type === TYPES.STATS && texts.every((text) => typeof text === 'string');
    return isStats ? stats : undefined;
  } catch {
    return undefined;
  }
}

/** Whether nobody listens on the subject of a request. */
export function isNoResponders(error: unknown): boolean {
  return (
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders())
  );
}

function sortKey({ name, started, id }: ServiceStats): string {
  // Gateways come before counter services, as on the way of an increment.
  return `${name === 'gateway' ? 0 : 1} ${name} ${started} ${id}`;
}
