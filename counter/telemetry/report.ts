import { identify, type DiscoverableService } from '../../nats/discovery.ts';
import { describeFault } from '../../nats/settings.ts';
import { COUNTER, INCREMENTS_DEAD, SUBJECTS_PREFIX } from '../../nats/streams.ts';
import type { CounterActivity, CounterStats, Heartbeat } from '../../schema/message/heartbeat.ts';
import type { Instance } from '../../telemetry/instance.ts';
import type { Held } from './metrics.ts';
import type { Stats } from './stats.ts';

/** As long as a heartbeat may have it. */
const PROBLEM_LENGTH_MAX = 1_000;

/** What a counter service reports of itself: to the nats CLI on request, and to consoles once a second. */
export function createReport(
  own: Instance,
  stats: Stats,
  readHeld: () => Held,
): { service: DiscoverableService; readHeartbeat: () => Heartbeat } {
  const identity = identify();
  const countDeadLetters = () =>
    Object.values(stats.deadLetters).reduce((sum, count) => sum + count, 0);

  function readStats(): CounterStats {
    const held = readHeld();
    return {
      ...own,
      messages_consumed: stats.messagesConsumed,
      messages_committed: stats.messagesCommitted,
      increments_committed: stats.incrementsCommitted,
      rows_committed: stats.rowsCommitted,
      already_applied: stats.alreadyApplied,
      dead_letters: countDeadLetters(),
      messages_redelivered: stats.messagesRedelivered,
      messages_nakked: stats.messagesNakked,
      last_flush_ms: Math.round(stats.lastFlushMs),
      messages_held: held.messages,
      keys_held: held.keys,
      acks_pending: held.pending,
      oldest_held_ms: Math.round(held.oldestAgeMs),
      worst_staleness_ms: Math.round(stats.worstStalenessMs()),
      clock_ahead_ms: Math.round(stats.clockAheadMs),
      database_connected: held.isDatabaseConnected,
      ...(stats.auditDifference !== undefined && { audit_difference: stats.auditDifference }),
    };
  }

  /** A lossy setting concerns every mesh on the stream, a disagreement this database. */
  function readRisk(): Pick<CounterActivity, 'risk'> {
    const fault = stats.settingFaults.find(({ isLossy }) => isLossy === true);
    if (fault !== undefined) return { risk: { text: describeFault(fault) } };
    return stats.risk === undefined ? {} : { risk: stats.risk };
  }

  function readCountingProblem(): Pick<CounterActivity, 'counting_problem'> {
    const problem = stats.disagreement ?? stats.consumerStop;
    return problem === undefined ? {} : { counting_problem: problem.slice(0, PROBLEM_LENGTH_MAX) };
  }

  function readActivity(): CounterActivity {
    return {
      ...stats.activity.read(),
      dead_letters: Object.fromEntries(
        Object.entries(stats.deadLetters).filter(([, count]) => count > 0),
      ),
      database_connected: readHeld().isDatabaseConnected,
      ...(stats.parked !== undefined && { parked_messages: stats.parked.messages }),
      ...readRisk(),
      ...readCountingProblem(),
    };
  }

  return {
    readHeartbeat: () => ({
      name: 'counter',
      id: identity.id,
      version: identity.version,
      uptime_ms: Math.round(process.uptime() * 1000),
      is_stopping: false,
      stats: readStats(),
      activity: readActivity(),
    }),
    service: {
      ...identity,
      name: 'counter',
      description: 'Takes increments from the stream and commits their sums to PostgreSQL',
      metadata: {
        project: 'increment-mesh',
        pid: String(own.pid),
        host: own.host,
        instance: own.instance,
      },
      endpoint: {
        name: 'increments',
        subject: `${SUBJECTS_PREFIX}>`,
        queueGroup: COUNTER,
        metadata: { counts: 'messages delivered, the time spent flushing, dead letters as errors' },
      },
      readWork: () => ({
        requests: stats.messagesConsumed,
        errors: countDeadLetters(),
        lastError: countDeadLetters() > 0 ? `dead letters: see ${INCREMENTS_DEAD}` : '',
        processingMs: stats.flushingMs,
        stats: { ...readStats(), activity: readActivity() },
      }),
    },
  };
}
