import { hostname } from 'node:os';
import { HTTP_SUBJECT } from '../../nats/streams.ts';
import { identify, type DiscoverableService, type Work } from '../../nats/discovery.ts';
import type { Heartbeat, GatewayStats } from '../../schema/message/heartbeat.ts';
import type { GatewayCounts } from './metrics.ts';

/**
 * Counts for discovery and the console what goes on to the metrics.
 *
 * @returns the counts to tell instead of the ones given, the service as discovery shows it, and what
 * it tells the mesh.
 */
export function createGatewayStats(
  counts: GatewayCounts,
  observe: { waiting: () => number },
): { counts: GatewayCounts; service: DiscoverableService; readHeartbeat: () => Heartbeat } {
  const stats: GatewayStats = {
    pid: process.pid,
    host: hostname(),
    increments_accepted: 0,
    messages_published: 0,
    responses: {},
    increments_waiting: 0,
  };
  const work: Omit<Work, 'stats'> = { requests: 0, errors: 0, lastError: '', processingMs: 0 };

  const counting: GatewayCounts = {
    ...counts,
    accepted: (increments) => {
      stats.increments_accepted += increments;
      counts.accepted(increments);
    },
    answered: (status, request) => {
      stats.responses[status] = (stats.responses[status] ?? 0) + 1;
      counts.answered(status, request);
    },
    published: (pack) => {
      work.requests++;
      work.processingMs += pack.durationMs;
      if (pack.error !== undefined) {
        work.errors++;
        work.lastError = pack.error instanceof Error ? pack.error.message : 'not stored';
      } else stats.messages_published++;
      counts.published(pack);
    },
  };
  const identity = identify();
  const readStats = () => ({ ...stats, increments_waiting: observe.waiting() });
  return {
    counts: counting,
    readHeartbeat: () => ({
      name: 'gateway',
      id: identity.id,
      version: identity.version,
      uptime_ms: Math.round(process.uptime() * 1000),
      is_stopping: false,
      stats: readStats(),
    }),
    service: {
      ...identity,
      name: 'gateway',
      description: 'Takes increments over HTTP and stores them in the stream',
      metadata: { project: 'increment-mesh', pid: String(process.pid), host: stats.host },
      endpoint: {
        name: 'increments',
        subject: HTTP_SUBJECT,
        queueGroup: 'http',
        metadata: {
          takes: 'POST /increment',
          counts: 'messages stored, and the time until the broker had them on disk',
        },
      },
      readWork: () => ({ ...work, stats: readStats() }),
    },
  };
}
