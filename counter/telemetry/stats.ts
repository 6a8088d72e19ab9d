import { hostname } from 'node:os';
import { identify, type DiscoverableService, type Work } from '../../nats/discovery.ts';
import { COUNTER } from '../../nats/streams.ts';
import type { Heartbeat, CounterStats } from '../../schema/message/heartbeat.ts';
import { createRollingMaximum } from '../../telemetry/rolling-maximum.ts';
import type { CounterMetrics, CounterObservation } from './metrics.ts';
import { createRecentActivity } from './recent-activity.ts';

/**
 * Counts for discovery and the console what goes on to the metrics.
 *
 * @returns the metrics to tell instead of the ones given, the service as discovery shows it, and what
 * it tells the mesh.
 */
export function countFigures(
  metrics: CounterMetrics,
  observe: () => CounterObservation,
): { metrics: CounterMetrics; service: DiscoverableService; readHeartbeat: () => Heartbeat } {
  const activity = createRecentActivity();
  const sums = {
    messages_consumed: 0,
    messages_committed: 0,
    rows_committed: 0,
    increments_committed: 0,
    already_applied: 0,
    dead_letters: 0,
    messages_redelivered: 0,
    messages_given_back: 0,
    last_flush_ms: 0,
  };
  const work: Omit<Work, 'stats'> = { requests: 0, errors: 0, lastError: '', processingMs: 0 };
  const worstStalenessMs = createRollingMaximum();

  const counting: CounterMetrics = {
    ...metrics,
    received: (isRedelivered) => {
      work.requests++;
      sums.messages_consumed++;
      if (isRedelivered) sums.messages_redelivered++;
      metrics.received(isRedelivered);
    },
    flushed: (result, times) => {
      sums.messages_committed += result.messages;
      sums.increments_committed += result.increments;
      sums.rows_committed += result.keys;
      sums.already_applied += result.alreadyApplied;
      sums.dead_letters += result.deadLetters;
      sums.last_flush_ms = Math.round(times.durationMs);
      work.processingMs += times.durationMs;
      work.errors += result.deadLetters;
      if (result.deadLetters > 0) work.lastError = 'dead letters: see INCREMENTS_DEAD';
      // Infinite where the flush added nothing.
      const { stalenessMs } = times;
      if (Number.isFinite(stalenessMs)) worstStalenessMs.add(stalenessMs);
      activity.flushed(result, times);
      metrics.flushed(result, times);
    },
    streamSeen: (stream) => {
      activity.streamSeen(stream);
      metrics.streamSeen(stream);
    },
    gaveBack: (messages) => {
      sums.messages_given_back += messages;
      metrics.gaveBack(messages);
    },
  };

  function readStats(): CounterStats {
    const held = observe();
    return {
      pid: process.pid,
      host: hostname(),
      ...sums,
      messages_held: held.messages,
      keys_held: held.keys,
      acks_pending: held.pending,
      oldest_held_ms: Math.round(held.oldestAgeMs),
      worst_staleness_ms: Math.round(worstStalenessMs.read()),
    };
  }

  const identity = identify();
  return {
    metrics: counting,
    readHeartbeat: () => ({
      name: 'counter',
      id: identity.id,
      version: identity.version,
      uptime_ms: Math.round(process.uptime() * 1000),
      is_stopping: false,
      stats: readStats(),
      activity: { ...activity.read(), database_connected: observe().isDatabaseConnected },
    }),
    service: {
      ...identity,
      name: 'counter',
      description: 'Takes increments from the stream and commits their sums to PostgreSQL',
      metadata: { project: 'increment-mesh', pid: String(process.pid), host: hostname() },
      endpoint: {
        name: 'increments',
        subject: 'increments.>',
        queueGroup: COUNTER,
        metadata: { counts: 'messages delivered, the time spent flushing, dead letters as errors' },
      },
      readWork: () => ({ ...work, stats: readStats() }),
    },
  };
}
