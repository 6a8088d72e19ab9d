import { INCREMENTS } from '../../nats/streams.ts';
import { PROBLEMS, type ProblemCode } from '../../schema/http/problem.ts';
import { SECONDS_BUCKETS } from '../../telemetry/conventions.ts';
import { createCountedHistogram } from '../../telemetry/counted-histogram.ts';
import type { PublishedMessage } from '../increments/group-commit.ts';
import { createRequestDurations } from './request-durations.ts';

/**
 * What a gateway has done since its start, in plain numbers, since they change on every request. Metrics,
 * heartbeats and discovery read them.
 */
export interface Stats {
  readonly incrementsAccepted: number;
  /** Answers by HTTP status. */
  readonly responses: Readonly<Record<string, number>>;
  /** Answers that were a problem, by its code, and the increments in those requests. */
  readonly refusals: Readonly<Record<ProblemCode, Refusals>>;
  readonly messagesStored: number;
  readonly messagesFailed: number;
  readonly publishingMs: number;
  readonly lastError: string;
  connectionsOpen: number;
  /** Connections that were closed at once: one too many in all, or from one address. */
  readonly connectionsRefused: { total: number; address: number };
  /** Counts increments that were answered 200. */
  accepted: (increments: number) => void;
  /** Makes the series of an answer before the first one. */
  expect: (route: string | undefined, method: string, status: number) => void;
  answered: (status: number, request: AnsweredRequest) => void;
  published: (message: PublishedMessage) => void;
}

interface Refusals {
  requests: number;
  increments: number;
}

/** What is read of a Fastify request. */
export interface AnsweredRequest {
  method: string;
  /** Without a URL if no route matches. */
  routeOptions: { url?: string | undefined };
  /** A time of performance.now(). */
  startedAt: number;
  /** The code of the problem that it was answered with. */
  problemCode: ProblemCode | undefined;
  /** How many increments it has, as far as it was parsed. */
  incrementCount: number;
}

/** The attributes of OpenTelemetry's conventions for a message that was stored, and for one that was not. */
export const STORED = {
  'messaging.system': 'nats',
  'messaging.operation.name': 'send',
  'messaging.destination.name': INCREMENTS,
};
export const NOT_STORED = { ...STORED, 'error.type': 'not-stored' };

/** Packs hold up to 500 increments, batches up to 10 000. */
const PACK_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500, 5000, 10_000];

export function createStats(): Stats {
  const durationOf = createRequestDurations();
  const publishing = createCountedHistogram({
    name: 'messaging.client.operation.duration',
    description: "From publishing a message to the broker's acknowledgement, after its fsync",
    boundaries: SECONDS_BUCKETS,
  });
  const recordStored = publishing(STORED);
  const recordNotStored = publishing(NOT_STORED);
  const recordPack = createCountedHistogram({
    name: 'gateway_pack_increments',
    description: 'Increments in a message',
    unit: '',
    boundaries: PACK_BUCKETS,
  })({});
  const responses: Record<string, number> = {};
  // Each code has a series from the start: to see the first one, a rate needs a sample of 0.
  const refusals = Object.fromEntries(
    Object.keys(PROBLEMS).map((code) => [code, { requests: 0, increments: 0 }]),
  ) as Record<ProblemCode, Refusals>;

  const stats = {
    incrementsAccepted: 0,
    responses,
    refusals,
    messagesStored: 0,
    messagesFailed: 0,
    publishingMs: 0,
    lastError: '',
    connectionsOpen: 0,
    connectionsRefused: { total: 0, address: 0 },

    accepted: (increments: number): void => {
      stats.incrementsAccepted += increments;
    },
    expect: (route: string | undefined, method: string, status: number): void => {
      durationOf(route, method, status);
    },
    answered: (status: number, request: AnsweredRequest): void => {
      responses[status] = (responses[status] ?? 0) + 1;
      const seconds = (performance.now() - request.startedAt) / 1000;
      durationOf(request.routeOptions.url, request.method, status)(seconds);
      if (request.problemCode === undefined) return;
      const refused = refusals[request.problemCode];
      refused.requests++;
      refused.increments += request.incrementCount;
    },
    published: ({ durationMs, error, increments }: PublishedMessage): void => {
      recordPack(increments);
      stats.publishingMs += durationMs;
      (error === undefined ? recordStored : recordNotStored)(durationMs / 1000);
      if (error === undefined) stats.messagesStored++;
      else {
        stats.messagesFailed++;
        stats.lastError = error instanceof Error ? error.message : 'not stored';
      }
    },
  };

  return stats;
}
