import type { NatsConnection } from '@nats-io/transport-node';
import { Value } from 'typebox/value';
import { CLEAR_SUBJECT } from '../../nats/channel.ts';
import type { ConnectionWatch } from '../../nats/connect.ts';
import { ask, NobodyAsked } from '../../nats/requests.ts';
import { ClearAnswer, type ClearRequest } from '../../schema/message/clear-request.ts';
import { ProblemError } from '../errors/problem-details.ts';

/** How long a counter service has for its answer. */
const ANSWER_MS_MAX = 3_000;
/** That wait for an answer: a counter service does ten in a second. */
const PENDING_MAX = 100;

/** Clears of counters, which only counter services can do. */
export interface ClearRequests {
  /** @throws ProblemError if no counter service was asked. `unknown` is also what no answer in time says. */
  send: (request: Omit<ClearRequest, 'deadline_ms'>) => Promise<ClearAnswer>;
  /** Resolves when each has its answer. */
  drain: () => Promise<unknown>;
}

export function createClearRequests(options: {
  connection: NatsConnection;
  watch: ConnectionWatch;
  brokerTimeMs: () => number;
}): ClearRequests {
  const { connection, watch, brokerTimeMs } = options;
  const pending = new Set<Promise<ClearAnswer>>();

  async function send(request: Omit<ClearRequest, 'deadline_ms'>): Promise<ClearAnswer> {
    if (pending.size >= PENDING_MAX) {
      const detail = `${PENDING_MAX} clears already wait for a counter service. Nothing was cleared; retry later.`;
      throw new ProblemError('too-many-waiting', detail);
    }
    // The client would send it later.
    if (!watch.isConnected) {
      const detail = 'The broker cannot be reached. Nothing was cleared; retry later.';
      throw new ProblemError('broker-unavailable', detail);
    }
    const deadline = Math.trunc(brokerTimeMs()) + ANSWER_MS_MAX;
    const answer = askCounterService({ ...request, deadline_ms: deadline });
    pending.add(answer);
    return answer.finally(() => pending.delete(answer));
  }

  async function askCounterService(request: ClearRequest): Promise<ClearAnswer> {
    const text = JSON.stringify(request);
    try {
      return readAnswer(await ask(connection, CLEAR_SUBJECT, { text, timeoutMs: ANSWER_MS_MAX }));
    } catch (error) {
      if (!(error instanceof NobodyAsked)) throw error;
      const detail =
        `No counter service could be asked (${error.message}). Nothing was cleared: retry when one runs, ` +
        'of this version or a later one.';
      throw new ProblemError('no-counter-service', detail);
    }
  }

  return { send, drain: () => Promise.allSettled(pending) };
}

function readAnswer(text: string | undefined): ClearAnswer {
  try {
    const answer: unknown = JSON.parse(text ?? 'null');
    if (Value.Check(ClearAnswer, answer)) return answer;
  } catch {
    // Not of a counter service of this version.
  }
  return { outcome: 'unknown' };
}
