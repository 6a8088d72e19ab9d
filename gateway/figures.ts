import { hostname } from 'node:os';
import { HTTP_SUBJECT } from '../nats/topology.ts';
import type { DiscoverableService, Work } from '../nats/discovery.ts';
import type { GatewayFigures } from '../schema/figures.ts';
import type { GatewayCounts } from './metrics.ts';

/**
 * Counts for discovery what goes on to the metrics.
 *
 * @returns the counts to tell instead of the ones given, and the service as discovery shows it.
 */
export function countFigures(
  counts: GatewayCounts,
  observe: { waiting: () => number },
): { counts: GatewayCounts; service: DiscoverableService } {
  const figures: GatewayFigures = {
    pid: process.pid,
    host: hostname(),
    increments_accepted: 0,
    responses: {},
    increments_waiting: 0,
  };
  const work: Omit<Work, 'figures'> = { requests: 0, errors: 0, lastError: '', processingMs: 0 };

  const counting: GatewayCounts = {
    ...counts,
    accepted: (increments) => {
      figures.increments_accepted += increments;
      counts.accepted(increments);
    },
    answered: (status) => {
      figures.responses[status] = (figures.responses[status] ?? 0) + 1;
      counts.answered(status);
    },
    published: (pack) => {
      work.requests++;
      work.processingMs += pack.durationMs;
      if (pack.error !== undefined) {
        work.errors++;
        work.lastError = pack.error instanceof Error ? pack.error.message : 'not stored';
      }
      counts.published(pack);
    },
  };
  return {
    counts: counting,
    service: {
      name: 'gateway',
      description: 'Takes increments over HTTP and stores them in the stream',
      metadata: { project: 'increment-mesh', pid: String(process.pid), host: figures.host },
      endpoint: {
        name: 'increments',
        subject: HTTP_SUBJECT,
        queueGroup: 'http',
        metadata: {
          takes: 'POST /increment',
          counts: 'messages stored, and the time until the broker had them on disk',
        },
      },
      readWork: () => ({ ...work, figures: { ...figures, increments_waiting: observe.waiting() } }),
    },
  };
}
