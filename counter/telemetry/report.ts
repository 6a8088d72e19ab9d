import { identify, type DiscoverableService } from '../../nats/discovery.ts';
import { describeFault, PAUSE, type SettingFault } from '../../nats/settings.ts';
import { COUNTER, INCREMENTS_DEAD, SUBJECTS_PREFIX } from '../../nats/streams.ts';
import type { CounterActivity, CounterStats, Heartbeat } from '../../schema/message/heartbeat.ts';
import type { Instance } from '../../telemetry/instance.ts';
import type { Held } from './metrics.ts';
import type { Stats } from './stats.ts';

/** As long as a heartbeat may have it. */
const PROBLEM_LENGTH_MAX = 1_000;
const FAULT_LENGTH_MAX = 300;
const FAULTS_MAX = 5;

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
      database_connected: stats.databaseProblem === undefined,
      ...(stats.auditDifference !== undefined && { audit_difference: stats.auditDifference }),
    };
  }

  /** A lossy setting concerns every mesh on the stream, a disagreement this database. */
  function readRisk(): Pick<CounterActivity, 'risk'> {
    const fault = stats.settingFaults.find(({ isLossy }) => isLossy === true);
    if (fault !== undefined) return { risk: { text: describeFault(fault) } };
    return stats.risk === undefined ? {} : { risk: stats.risk };
  }

  function readCountingProblem(): Pick<
    CounterActivity,
    'counting_problem' | 'counting_problem_kind'
  > {
    const { disagreement, consumerStop } = stats;
    const problem =
      disagreement === undefined
        ? consumerStop
        : { kind: 'stores-disagree' as const, text: disagreement };
    if (problem === undefined) return {};
    const { kind, text } = problem;
    return { counting_problem: text.slice(0, PROBLEM_LENGTH_MAX), counting_problem_kind: kind };
  }

  /** Of what the broker keeps. A pause is a counting problem. */
  function readBroker(): Pick<CounterActivity, 'replicas_behind' | 'setting_faults'> {
    const behind = stats.replicas?.text;
    const faults = stats.settingFaults.filter(({ name }) => name !== PAUSE).slice(0, FAULTS_MAX);
    const asText = (fault: SettingFault) => describeFault(fault).slice(0, FAULT_LENGTH_MAX);
    return {
      ...(behind !== undefined && { replicas_behind: behind.slice(0, FAULT_LENGTH_MAX) }),
      ...(faults.length > 0 && { setting_faults: faults.map(asText) }),
    };
  }

  function readParked(): Pick<CounterActivity, 'parked_messages' | 'is_parking_full'> {
    if (stats.parked === undefined) return {};
    return { parked_messages: stats.parked.messages, is_parking_full: stats.parked.isFull };
  }

  function readActivity(): CounterActivity {
    return {
      ...stats.activity.read(),
      dead_letters: Object.fromEntries(
        Object.entries(stats.deadLetters).filter(([, count]) => count > 0),
      ),
      database_connected: stats.databaseProblem === undefined,
      ...(stats.databaseProblem !== undefined && { database_problem: stats.databaseProblem }),
      ...(stats.incrementsCounted !== undefined && {
        increments_counted: String(stats.incrementsCounted),
      }),
      ...readBroker(),
      ...readParked(),
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
