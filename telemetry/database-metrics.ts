import { metrics } from '@opentelemetry/api';
import type { QueryReport } from '../schema/database/database.ts';
import { SECONDS_BUCKETS } from './conventions.ts';

/** Returns a listener that records how long each statement took. */
export function createDatabaseMetrics(): (query: QueryReport) => void {
  const duration = metrics
    .getMeter('increment-mesh/database')
    .createHistogram('db.client.operation.duration', {
      description: 'Duration of statements, including begin and commit',
      unit: 's',
      advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
    });
  return ({ sql, durationMs, errorCode }) => {
    duration.record(durationMs / 1000, {
      'db.system.name': 'postgresql',
      'db.operation.name': /\w+/.exec(sql)?.[0] ?? '',
      ...(errorCode !== undefined && { 'error.type': errorCode }),
    });
  };
}
