import { STALENESS_MS_MAX } from '../../../counter/consume/flush-clock.ts';
import type { MeshFile } from '../../local/mesh-file.ts';
import { PARKED_BYTES_MAX, PARKED_SEEN_MAX } from '../../../schema/database/parked-state.ts';
import { formatBytes, formatDuration, plural } from '../../../telemetry/quantities.ts';
import { CLOCK_AHEAD_MS_MAX } from '../../../nats/broker-clock.ts';
import { UNSTATED_SYNC } from '../../../nats/sync-setting.ts';
import { isCurrent } from '../../../nats/replica-state.ts';
import { describeBehind } from '../../../nats/replicas.ts';
import type { MeshStatus } from './mesh-status.ts';
import type { BrokerStatus } from './read-broker.ts';
import type { DatabaseStatus } from './read-database.ts';

/** Above this there is little time before increments are refused. */
const STREAM_FULL_RATIO = 0.8;

/** What is wrong and what follows from it, a sentence each. */
export function findProblems(
  status: Omit<MeshStatus, 'problems'>,
  mesh: MeshFile | undefined,
): string[] {
  const { broker, database } = status;
  if ('away' in broker) {
    const rest = 'away' in database ? [`The database is unreachable: ${database.away}`] : [];
    return [
      `The broker is unreachable, so increments are refused with 503: ${broker.away}`,
      ...rest,
    ];
  }
  return [
    ...missingServices(status, mesh),
    ...(status.disagreement === null ? [] : [`Nothing is counted: ${status.disagreement}.`]),
    ...broker.settings.map((problem) => `${problem}.`),
    ...notStoring(status),
    ...notCommitting(status),
    ...staleness(status),
    ...(isCurrentEverywhere(broker) ? [] : [replicasBehind(broker)]),
    ...wrongClocks(status),
    ...unstatedSync(status),
    ...fullness(broker.stream),
    ...('away' in database
      ? [
          `The database is unreachable, so increments wait in the stream, uncounted: ${database.away}`,
        ]
      : parking(database)),
    ...deadLetters(broker),
  ];
}

/** Gateways with the same problem are one sentence. */
function notStoring({ services }: Pick<MeshStatus, 'services'>): string[] {
  const pids = new Map<string, number[]>();
  for (const service of services) {
    if (service.name !== 'gateway' || service.stats.store_problem === undefined) continue;
    const { reason, remedy } = service.stats.store_problem;
    const text = `${reason}, so increments are refused with 503: ${remedy}`;
    pids.set(text, [...(pids.get(text) ?? []), service.stats.pid]);
  }
  return [...pids].map(([text, found]) => `Not stored by ${pluralOf('gateway', found)}: ${text}.`);
}

function notCommitting({ services }: Pick<MeshStatus, 'services'>): string[] {
  const counters = services.filter((service) => service.name === 'counter');
  const failing = counters.filter(({ stats }) => stats.database_connected === false);
  const unbalanced = counters.filter(({ stats }) => (stats.audit_difference ?? 0) !== 0);
  const pidsOf = (found: typeof counters) => found.map(({ stats }) => stats.pid);
  return [
    ...(failing.length > 0
      ? [
          `Flushes fail in ${pluralOf('counter service', pidsOf(failing))}: increments wait in the ` +
            'stream, uncounted; the log has the cause.',
        ]
      : []),
    ...(unbalanced.length > 0
      ? ['The books did not balance at the last audit: run `npm run mesh -- audit`.']
      : []),
  ];
}

/** Counts stay right: ids and ages go by the broker's clock. */
function wrongClocks({ services }: Pick<MeshStatus, 'services'>): string[] {
  return services.flatMap(({ name, stats }) => {
    const { clock_ahead_ms: aheadMs = 0, pid, host } = stats;
    if (Math.abs(aheadMs) <= CLOCK_AHEAD_MS_MAX) return [];
    const noun = name === 'counter' ? 'counter service' : name;
    const off = `${formatDuration(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
    return [
      `The clock of ${host}, where a ${noun} (pid ${pid}) runs, is ${off} the broker's: synchronize it.`,
    ];
  });
}

function unstatedSync({ services }: Pick<MeshStatus, 'services'>): string[] {
  const isUnstated = services.some(
    ({ name, stats }) => name === 'gateway' && stats.is_sync_stated === false,
  );
  return isUnstated ? [`${UNSTATED_SYNC}.`] : [];
}

function pluralOf(noun: string, pids: number[]): string {
  return `${plural(pids.length, noun)} (pid ${pids.join(', ')})`;
}

function isCurrentEverywhere({ replicas }: BrokerStatus): boolean {
  return replicas.every(isCurrent);
}

function replicasBehind({ replicas }: BrokerStatus): string {
  return (
    `Not every replica is current: ${describeBehind(replicas)}. The loss of another server could lose ` +
    'accepted increments: check that these servers run and reach the others.'
  );
}

function deadLetters({ deadLetters: { messages } }: BrokerStatus): string[] {
  if (messages === 0) return [];
  const are = messages === 1 ? 'waits' : 'wait';
  return [
    `${plural(messages, 'dead letter')} ${are}, uncounted: \`npm run mesh -- dead-letters list\` shows why; ` +
      'replay or purge them.',
  ];
}

function missingServices({ services }: Pick<MeshStatus, 'services'>, mesh?: MeshFile): string[] {
  const problems: string[] = [];
  const answering = new Set(services.map(({ stats }) => stats.pid));
  const silent = (list: { pid: number }[]) => list.filter(({ pid }) => !answering.has(pid));
  const kinds = [
    ['gateway', 'gateway', 'increments are not accepted', mesh?.gateways ?? []],
    [
      'counter',
      'counter service',
      'increments wait in the stream, uncounted',
      mesh?.counters ?? [],
    ],
  ] as const;
  for (const [kind, noun, consequence, expected] of kinds) {
    const missing = silent([...expected]);
    if (services.every(({ name }) => name !== kind)) {
      problems.push(`No ${noun} answers: ${consequence}.`);
    } else if (missing.length > 0) {
      const pids = missing.map(({ pid }) => pid).join(', ');
      problems.push(
        `Not answering: ${missing.length} of ${plural(expected.length, noun)} (pid ${pids}).`,
      );
    }
  }
  return problems;
}

function staleness({
  stalenessMs,
  database,
}: Pick<MeshStatus, 'stalenessMs' | 'database'>): string[] {
  if (stalenessMs === null || stalenessMs <= STALENESS_MS_MAX) return [];
  const cause =
    'parked' in database && database.parked.isFull
      ? 'it may be of a newer version.'
      : "counter services can't keep up, or one has just died.";
  return [
    `The oldest increment has waited for ${formatDuration(stalenessMs)}, longer than ` +
      `${formatDuration(STALENESS_MS_MAX)}: ${cause}`,
  ];
}

function fullness(stream: { bytes: number; bytesMax: number }): string[] {
  const ratio = stream.bytesMax > 0 ? stream.bytes / stream.bytesMax : 0;
  if (ratio < STREAM_FULL_RATIO) return [];
  return [
    `The stream is ${Math.floor(ratio * 100)} % full: once it is full, increments are refused with 503.`,
  ];
}

function parking({ parked }: DatabaseStatus): string[] {
  if (parked.messages === 0) return [];
  const more = parked.messages >= PARKED_SEEN_MAX ? ' or more' : '';
  return [
    `${plural(parked.messages, 'message')}${more} of a newer version (up to ${parked.version}) ` +
      'wait, uncounted: something newer publishes than the counter services understand. ' +
      'Upgrade counter services, and they are counted.',
    ...(parked.isFull
      ? [
          `There is no room to park more than ${formatBytes(PARKED_BYTES_MAX)} of them: further ones stay in ` +
            'the stream, and 100 000 of these stop all counting.',
        ]
      : []),
  ];
}
