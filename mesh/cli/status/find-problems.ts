import { STALENESS_MS_MAX } from '../../../counter/consume/flush-clock.ts';
import type { MeshFile } from '../../local/mesh-file.ts';
import { PARKED_BYTES_MAX, PARKED_SEEN_MAX } from '../../../schema/database/parked-state.ts';
import { formatBytes, formatDuration, plural } from '../quantities.ts';
import type { MeshStatus } from './mesh-status.ts';
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
    ...staleness(status),
    ...fullness(broker.stream),
    ...('away' in database
      ? [
          `The database is unreachable, so increments wait in the stream, uncounted: ${database.away}`,
        ]
      : parking(database)),
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
