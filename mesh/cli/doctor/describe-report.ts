import { styleText } from 'node:util';
import { formatBytes, formatCount } from '../../../telemetry/quantities.ts';
import { describeFindings } from '../status/describe-status.ts';
import { formatTable } from '../table.ts';
import type { BrokerCheck } from './check-broker.ts';
import type { DatabaseCheck } from './check-database.ts';
import type { Clocks, ClockDifference } from './read-clocks.ts';
import type { Findings } from './read-findings.ts';
import type { LogEnd } from './read-log-ends.ts';
import type { Settings } from './read-settings.ts';
import type { System } from './read-system.ts';
import { isMissing, type Part } from './within.ts';

export interface Report {
  /** When it was made, by this machine's clock. */
  at: string;
  system: Part<System>;
  settings: Part<Settings>;
  broker: Part<BrokerCheck>;
  database: Part<DatabaseCheck>;
  clocks: Part<Clocks>;
  status: Part<Findings>;
  logs: Part<{ ends: LogEnd[] }>;
}

/** As text to paste: a part each, with what is wrong at its end. */
export function describeReport(report: Report): string {
  const { at, system, settings, broker, database, clocks, status, logs } = report;
  return [
    `increment-mesh doctor, ${at}`,
    section('SYSTEM', system, describeSystem),
    section('SETTINGS of this shell, where they are not as by default', settings, describeSettings),
    section('BROKER', broker, describeBroker),
    section('DATABASE', database, describeDatabase),
    section('CLOCK of this machine', clocks, describeClocks),
    section('STATUS', status, ({ findings }) => describeFindings(findings)),
    section('LOGS: last warnings and errors', logs, ({ ends }) => describeLogs(ends)),
  ].join('\n\n');
}

function section<Answer extends object>(
  title: string,
  part: Part<Answer>,
  describe: (answer: Answer) => string,
): string {
  const text = isMissing(part) ? styleText('red', `not known: ${part.missing}`) : describe(part);
  return `${styleText('bold', title)}\n${text}`;
}

function describeSystem(system: System): string {
  const { project, node, os, cpus, dataFolder } = system;
  return formatTable([
    ['increment-mesh', project],
    ['Node', node],
    ['machine', `${os}, ${cpus} CPU${cpus === 1 ? '' : 's'}`],
    ['memory', roomOf(system.memoryFreeBytes, system.memoryBytes)],
    ['disk', roomOf(system.diskFreeBytes, system.diskBytes)],
    ['data folder', dataFolder],
  ]);
}

function roomOf(free: number, all: number): string {
  return `${formatBytes(free)} of ${formatBytes(all)} free`;
}

function describeSettings({ changed, problems }: Settings): string {
  const rows = changed.map(({ name, value }) => [name, value]);
  return withProblems(rows.length === 0 ? 'none' : formatTable(rows), problems);
}

function describeBroker(broker: BrokerCheck): string {
  const { store } = broker;
  const bytesMax = store.bytesMax > 0 ? ` of ${formatBytes(store.bytesMax)}` : '';
  const rows = [
    [
      'nats-server',
      `${broker.version}, ${broker.name} at ${broker.at}${broker.usesTls ? ', TLS' : ''}`,
    ],
    ['JetStream', broker.hasJetStream ? `${formatBytes(store.bytes)}${bytesMax}` : 'none'],
    ...broker.roles.map((role, index) => [index === 0 ? 'roles' : '', role]),
  ];
  return withProblems(formatTable(rows), broker.problems);
}

function describeDatabase({ version, at, users, problems }: DatabaseCheck): string {
  const rows = [
    ['PostgreSQL', `${version} at ${at}`],
    ['looked at as', users.join(', ')],
  ];
  return withProblems(formatTable(rows), problems);
}

function describeClocks({ broker, database, problems }: Clocks): string {
  const rows = [
    ['broker', describeClock(broker)],
    ['database', describeClock(database)],
  ];
  return withProblems(formatTable(rows), problems);
}

function describeClock(found: Part<ClockDifference>): string {
  if (isMissing(found)) return 'not known';
  const { aheadMs, uncertaintyMs } = found;
  const side = aheadMs < 0 ? 'behind' : 'ahead';
  return `${formatCount(Math.abs(aheadMs))} ms ${side}, ± ${formatCount(uncertaintyMs)} ms`;
}

function describeLogs(ends: LogEnd[]): string {
  if (ends.length === 0) return 'none';
  const rows = ends.flatMap(({ name, lines }) =>
    lines.map(({ at, level, message, count }) => [
      at ?? '',
      name,
      level,
      `${message.replaceAll('\n', ' ')}${count > 1 ? ` (${formatCount(count)} times)` : ''}`,
    ]),
  );
  return formatTable(rows);
}

function withProblems(text: string, problems: string[]): string {
  return problems.length === 0 ? text : `${text}\n${list(problems)}`;
}

function list(problems: string[]): string {
  return problems.map((problem) => `! ${problem}`).join('\n');
}
