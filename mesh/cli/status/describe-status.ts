import { styleText } from 'node:util';
import { STALENESS_MS_MAX } from '../../../counter/consume/flush-clock.ts';
import { PARKED_SEEN_MAX } from '../../../schema/database/parked-state.ts';
import { formatBytes, formatCount, formatDuration, plural } from '../../../telemetry/quantities.ts';
import { formatTable } from '../table.ts';
import type { MeshStatus } from './mesh-status.ts';
import type { BrokerStatus } from './read-broker.ts';
import type { DatabaseStatus } from './read-database.ts';
import type { ServiceStatus } from './read-services.ts';

/** As text: the services, a line for each of stream, consumer and so on, and the verdict. */
export function describeStatus(status: MeshStatus): string {
  const parts = [
    services(status.services),
    formatTable([...brokerRows(status), ...databaseRows(status.database)]),
    verdict(status.problems),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function services(found: ServiceStatus[]): string {
  if (found.length === 0) return '';
  const rows = found.map((service) => [
    service.name,
    service.id,
    service.version,
    String(service.stats.pid),
    formatDuration(Math.max(0, Date.now() - Date.parse(service.started))),
    stats(service),
  ]);
  return formatTable(rows, ['SERVICE', 'ID', 'VERSION', 'PID', 'UP', 'STATS']);
}

function stats({ name, stats }: ServiceStatus): string {
  if (name === 'gateway') {
    const { increments_accepted: accepted, increments_waiting: waiting } = stats;
    const failed = sum(stats.responses, (status) => status >= '500');
    const errors = failed > 0 ? `, ${plural(failed, '5xx response')}` : '';
    return `${formatCount(accepted)} accepted, ${formatCount(waiting)} waiting${errors}`;
  }
  const { increments_committed: committed, messages_held: held, dead_letters: dead } = stats;
  const { worst_staleness_ms: worst, last_flush_ms: flush } = stats;
  return [
    `${formatCount(committed)} committed`,
    `${plural(held, 'message')} in the buffer`,
    ...(flush > 0 ? [`last flush ${formatDuration(flush)}`] : []),
    ...(worst > 0 ? [`worst staleness in the last minute ${formatDuration(worst)}`] : []),
    ...(dead > 0 ? [plural(dead, 'dead letter')] : []),
  ].join(', ');
}

function brokerRows({ broker, stalenessMs }: MeshStatus): string[][] {
  if ('away' in broker) return [['broker', styleText('red', 'unreachable')]];
  return [
    ['stream', describeStream(broker)],
    ['consumer', describeConsumer(broker)],
    ['staleness', describeStaleness(stalenessMs)],
    ['dead letters', describeDeadLetters(broker)],
  ];
}

function describeStream({ stream }: BrokerStatus): string {
  const copies = stream.replicas > 1 ? `, ${stream.replicas} replicas` : '';
  const size = `${formatBytes(stream.bytes)} of ${formatBytes(stream.bytesMax)}`;
  return `${plural(stream.messages, 'message')}, ${size}${copies}`;
}

function describeConsumer({ consumer }: BrokerStatus): string {
  return (
    `${formatCount(consumer.undelivered)} to deliver, ${formatCount(consumer.ackPending)} unacknowledged, ` +
    `${formatCount(consumer.redelivered)} redelivered, ${plural(consumer.pullsWaiting, 'waiting pull')}`
  );
}

function describeStaleness(stalenessMs: number | null): string {
  if (stalenessMs === null) return 'unknown';
  const text = `${formatDuration(stalenessMs)}, at most ${formatDuration(STALENESS_MS_MAX)} promised`;
  return stalenessMs > STALENESS_MS_MAX ? styleText('red', text) : text;
}

function describeDeadLetters({ deadLetters }: BrokerStatus): string {
  const { messages, lastAt } = deadLetters;
  if (messages === 0 || lastAt === null) return 'none';
  const last = lastAt.replace('T', ' ').slice(0, 19);
  return styleText('yellow', `${formatCount(messages)}, the last at ${last} UTC`);
}

function databaseRows(database: MeshStatus['database']): string[][] {
  if ('away' in database) return [['database', styleText('red', 'unreachable')]];
  return [
    ['parked', describeParked(database)],
    ['database', describeDatabase(database)],
  ];
}

function describeParked({ parked }: DatabaseStatus): string {
  const { messages, version, since, bytes } = parked;
  if (messages === 0 || since === null) return 'none';
  const more = messages >= PARKED_SEEN_MAX ? ' or more' : '';
  const first = since.replace('T', ' ').slice(0, 19);
  return styleText(
    'red',
    `${plural(messages, 'message')}${more} of a version up to ${version}, ${formatBytes(bytes)}, ` +
      `the first at ${first} UTC`,
  );
}

function describeDatabase(database: DatabaseStatus): string {
  const { version, counters, ledgerRows, isEstimated, bytes } = database;
  const rows = `${plural(counters, 'counter')} and ${plural(ledgerRows, 'ledger row')}`;
  return `PostgreSQL ${version}, ${isEstimated ? 'about ' : ''}${rows}, ${formatBytes(bytes)}`;
}

function verdict(problems: string[]): string {
  if (problems.length === 0) return styleText('green', 'All is well.');
  return problems.map((problem) => `${styleText('red', '✗')} ${problem}`).join('\n');
}

function sum(counts: Record<string, number>, isMeant: (name: string) => boolean): number {
  return Object.entries(counts).reduce(
    (sum, [name, count]) => sum + (isMeant(name) ? count : 0),
    0,
  );
}
