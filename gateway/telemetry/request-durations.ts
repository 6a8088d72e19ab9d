import { methodOf, SECONDS_BUCKETS } from '../../telemetry/conventions.ts';
import { createCountedHistogram, type RecordValue } from '../../telemetry/counted-histogram.ts';

/** Returns a function that finds the series of a request, and makes it the first time. */
export function createRequestDurations() {
  const createSeries = createCountedHistogram({
    name: 'http.server.request.duration',
    description: 'From the headers of a request until its answer is ready to be sent',
    boundaries: SECONDS_BUCKETS,
  });
  const routes = new Map<string | undefined, Map<string, Map<number, RecordValue>>>();

  return (route: string | undefined, method: string, status: number): RecordValue => {
    const known = routes.get(route)?.get(method)?.get(status);
    return known ?? seriesOf(route, methodOf(method), status);
  };

  function seriesOf(route: string | undefined, method: string, status: number): RecordValue {
    const methods = getOrAdd(routes, route, () => new Map<string, Map<number, RecordValue>>());
    const statuses = getOrAdd(methods, method, () => new Map<number, RecordValue>());
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
