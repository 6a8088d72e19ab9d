import { metrics, type Attributes } from '@opentelemetry/api';
import { INCREMENTS } from '../../nats/streams.ts';
import { SECONDS_BUCKETS } from '../../telemetry/conventions.ts';
import { createCountedHistogram, type RecordSeconds } from '../../telemetry/counted-histogram.ts';

/** What a gateway tells its metrics; counted in plain numbers, since it happens on every request. */
export interface GatewayCounts {
  accepted: (increments: number) => void;
  answered: (status: number, request: AnsweredRequest) => void;
  published: (pack: { increments: number; durationMs: number; error?: unknown }) => void;
}

/** What is read of a Fastify request. */
export interface AnsweredRequest {
  method: string;
  /** Without a URL where no route fits. */
  routeOptions: { url?: string | undefined };
  /** A time of performance.now(). */
  startedAt: number;
  /** The stable code of the problem that it was answered with. */
  problemCode: string | undefined;
  /** How many increments it has, as far as that was understood. */
  incrementCount: number;
}

/** Packs hold up to 500 increments, batches up to 10 000. */
const PACK_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2500, 5000, 10_000];

/** The gateway's instruments. Ours have their unit in the name; no key and no client is ever a label. */
export function createGatewayMetrics(observe: {
  waiting: () => number;
  isBrokerConnected: () => boolean;
}): GatewayCounts {
  const meter = metrics.getMeter('increment-mesh/gateway');
  let accepted = 0;

  meter
    .createObservableCounter('increments_accepted', { description: 'Increments answered 200' })
    .addCallback((result) => result.observe(accepted));
  meter
    .createObservableGauge('gateway_increments_waiting', {
      description: 'Increments that wait for a place in a message',
    })
    .addCallback((result) => result.observe(observe.waiting()));
  meter
    .createObservableGauge('broker_connected', { description: '1 while the broker can be reached' })
    .addCallback((result) => result.observe(observe.isBrokerConnected() ? 1 : 0));
  return {
    accepted: (increments) => {
      accepted += increments;
    },
    answered: countAnswers(),
    published: countMessages(),
  };
}

/** By route and status, and refusals by their reason. */
function countAnswers(): GatewayCounts['answered'] {
  const meter = metrics.getMeter('increment-mesh/gateway');
  const refusals = new Map<string, { requests: number; increments: number }>();
  const observeRefused = (name: string, description: string, what: 'requests' | 'increments') =>
    meter.createObservableCounter(name, { description }).addCallback((result) => {
      for (const [reason, counts] of refusals) result.observe(counts[what], { reason });
    });
  observeRefused('requests_refused', 'Requests answered with a problem, by its code', 'requests');
  observeRefused('increments_refused', 'Increments in them, where they were read', 'increments');
  const recorderOf = createRequestDurations();

  return (status, request) => {
    const seconds = (performance.now() - request.startedAt) / 1000;
    recorderOf(request.routeOptions.url, request.method, status)(seconds);
    if (request.problemCode === undefined) return;
    const counts = refusals.get(request.problemCode) ?? { requests: 0, increments: 0 };
    counts.requests++;
    counts.increments += request.incrementCount;
    refusals.set(request.problemCode, counts);
  };
}

/** Methods that are told apart; what else there is comes together, so that no client makes series. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/** Returns a function that finds the series of a request; it makes each once. */
function createRequestDurations() {
  const createSeries = createCountedHistogram({
    name: 'http.server.request.duration',
    description: 'From the headers of a request to its answer, ready to be sent',
    boundaries: SECONDS_BUCKETS,
  });
  const routes = new Map<string | undefined, Map<string, Map<number, RecordSeconds>>>();

  return (route: string | undefined, method: string, status: number): RecordSeconds => {
    const known = routes.get(route)?.get(method)?.get(status);
    return known ?? recorderOf(route, METHODS.has(method) ? method : '_OTHER', status);
  };

  function recorderOf(route: string | undefined, method: string, status: number): RecordSeconds {
    const methods = getOrAdd(routes, route, () => new Map<string, Map<number, RecordSeconds>>());
    const statuses = getOrAdd(methods, method, () => new Map<number, RecordSeconds>());
    return getOrAdd(statuses, status, () =>
      createSeries({
        'http.request.method': method,
        'http.response.status_code': status,
        ...(route !== undefined && { 'http.route': route }),
      }),
    );
  }
}

function getOrAdd<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

function countMessages(): GatewayCounts['published'] {
  const meter = metrics.getMeter('increment-mesh/gateway');
  const operation = {
    'messaging.system': 'nats',
    'messaging.operation.name': 'send',
    'messaging.destination.name': INCREMENTS,
  };
  const createSeries = createCountedHistogram({
    name: 'messaging.client.operation.duration',
    description: "From publishing a message to the broker's acknowledgement, after its fsync",
    boundaries: SECONDS_BUCKETS,
  });
  const outcomeOf = (attributes: Attributes) => ({
    attributes,
    messages: 0,
    record: createSeries(attributes),
  });
  const stored = outcomeOf(operation);
  const failed = outcomeOf({ ...operation, 'error.type': 'not-stored' });
  meter
    .createObservableCounter('messaging.client.sent.messages', {
      description: 'Messages that were to be stored',
      unit: '{message}',
    })
    .addCallback((result) => {
      for (const { messages, attributes } of [stored, failed]) result.observe(messages, attributes);
    });
  const packSize = meter.createHistogram('gateway_pack_increments', {
    description: 'Increments that share a message',
    advice: { explicitBucketBoundaries: PACK_BUCKETS },
  });

  return ({ increments, durationMs, error }) => {
    const outcome = error === undefined ? stored : failed;
    outcome.messages++;
    outcome.record(durationMs / 1000);
    packSize.record(increments);
  };
}
