import { styleText } from 'node:util';
import { STALENESS_MS_MAX } from '../../../schema/bounds.ts';
import { PARKED_SEEN_MAX } from '../../../schema/database/parked-state.ts';
import type { Finding } from '../../../telemetry/diagnosis/findings.ts';
import { formatBytes, formatCount, formatDuration, plural } from '../../../telemetry/quantities.ts';
import { formatTable } from '../table.ts';
import { describeTime } from './describe-time.ts';
import { nameOf } from './diagnose-status.ts';
import { isAway, type Away, type MeshParts } from './mesh-status.ts';
import type { BrokerStatus } from './read-broker.ts';
import type { DatabaseStatus } from './read-database.ts';
import type { ServiceStatus } from './read-services.ts';

/** As wide as the longest name of a row. */
const LABEL_WIDTH = 'dead letters'.length;

/** Some parts of a status as text: the services as a table, a line for each of stream, consumer and so on. */
export function describePart({
  services,
  broker,
  database,
  stalenessMs,
}: Partial<MeshParts>): string {
  const parts = [
    ...(services === undefined ? [] : [describeServices(services)]),
    ...(broker === undefined ? [] : brokerRows(broker).map(asLine)),
    ...(database === undefined ? [] : databaseRows(database).map(asLine)),
    ...(stalenessMs === undefined ? [] : [asLine(['staleness', describeStaleness(stalenessMs)])]),
  ];
  return parts.join('\n');
}

/** What is wrong, the headline first, for somebody who has ten seconds. */
export function describeFindings(findings: Finding[]): string {
  if (findings.length === 0) return styleText('green', 'All is well.');
  return findings.map(describeFinding).join('\n\n');
}

function describeFinding({ level, cause, evidence, effect, next, runbook }: Finding): string {
  const mark = level === 'bad' ? styleText('red', '✗') : styleText('yellow', '!');
  const lines = [
    ...(evidence === '' ? [] : [['seen', evidence]]),
    ['effect', effect],
    ['next', next],
    ['runbook', runbook],
  ].map(([label = '', text = '']) => `  ${styleText('dim', label.padEnd(8))} ${text}`);
  return [`${mark} ${styleText('bold', cause)}`, ...lines].join('\n');
}

function asLine([label = '', text = '']: string[]): string {
  return `${label.padEnd(LABEL_WIDTH)}  ${text}`;
}

function describeServices(found: ServiceStatus[] | Away): string {
  if (isAway(found)) return asLine(['services', away(found)]);
  if (found.length === 0) return asLine(['services', styleText('red', 'none answers')]);
  const sorted = found.toSorted((left, right) => sortKey(left).localeCompare(sortKey(right)));
  const rows = sorted.map((service) => [
    nameOf(service),
    service.version,
    String(service.stats.pid),
    formatDuration(Math.max(0, Date.now() - Date.parse(service.started))),
    stats(service),
  ]);
  return `${formatTable(rows, ['SERVICE', 'VERSION', 'PID', 'UP', 'STATS'])}\n`;
}

/** Gateways come before counter services, as on the way of an increment. */
function sortKey(service: ServiceStatus): string {
  return `${service.name === 'gateway' ? 0 : 1} ${nameOf(service)}`;
}

function away({ away, isSilent }: Away): string {
  return styleText('red', `${isSilent ? 'does not answer' : 'unreachable'}: ${away}`);
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

function brokerRows(broker: BrokerStatus | Away): string[][] {
  if (isAway(broker)) return [['broker', away(broker)]];
  return [
    ['stream', describeStream(broker)],
    ['consumer', describeConsumer(broker)],
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
  return styleText('yellow', `${formatCount(messages)}, the last at ${describeTime(lastAt)}`);
}

function databaseRows(database: DatabaseStatus | Away): string[][] {
  if (isAway(database)) return [['database', away(database)]];
  return [
    ['parked', describeParked(database)],
    ['database', describeDatabase(database)],
  ];
}

function describeParked({ parked }: DatabaseStatus): string {
  const { messages, version, since, bytes } = parked;
  if (messages === 0 || since === null) return 'none';
  const more = messages >= PARKED_SEEN_MAX ? ' or more' : '';
  return styleText(
    'red',
    `${plural(messages, 'message')}${more} of a version up to ${version}, ${formatBytes(bytes)}, ` +
      `the first at ${describeTime(since)}`,
  );
}

function describeDatabase(database: DatabaseStatus): string {
  const { version, counters, ledgerRows, isEstimated, bytes } = database;
  const rows = `${plural(counters, 'counter')} and ${plural(ledgerRows, 'ledger row')}`;
  return `PostgreSQL ${version}, ${isEstimated ? 'about ' : ''}${rows}, ${formatBytes(bytes)}`;
}

function sum(counts: Record<string, number>, isMeant: (name: string) => boolean): number {
  return Object.entries(counts).reduce(
    (sum, [name, count]) => sum + (isMeant(name) ? count : 0),
    0,
  );
}
