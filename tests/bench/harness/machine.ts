import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { statfsSync } from 'node:fs';
import { findNatsServer } from '../../../mesh/servers/find-nats-server.ts';
import { findBinaries } from '../../../mesh/servers/postgres-cluster.ts';
import { runProgram } from '../../../mesh/servers/run-program.ts';
import { measureDisk } from './disk.ts';
import { medianOf } from './median.ts';
import { findRedis } from './redis.ts';
import { withScope } from './scope.ts';
import { makeFolder } from './servers.ts';
import { formatNumber } from './table.ts';
import { measureWakeUp } from './wake-up.ts';

/** Linux' number for file systems in memory, on which an fsync costs nothing. */
const TMPFS = 0x01021994;

export interface Machine {
  date: string;
  processors: string;
  memoryGib: number;
  system: string;
  /** Of Node and of the servers, as `name version`. */
  versions: string[];
  /** A write of 4 KiB that is on the disk, in milliseconds: the median of some. */
  fdatasyncMs: number;
  /** A byte to another process and back over loopback TCP, in microseconds: the median of some. */
  wakeUpUs: number;
  isDiskMemory: boolean;
  /** Of the minute before; other work on the machine spoils the figures. */
  loadAverage: number;
}

export async function describeMachine(): Promise<Machine> {
  const loadAverage = loadavg()[0] ?? Number.NaN;
  const redis = await findRedis();
  const { fdatasyncMs, isDiskMemory } = await withScope(async (scope) => {
    const folder = makeFolder(scope);
    return {
      fdatasyncMs: medianOf(await measureDisk(folder)),
      isDiskMemory: statfsSync(folder).type === TMPFS,
    };
  });
  return {
    date: new Date().toISOString(),
    processors: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release().split('-')[0]}`,
    versions: [
      `Node ${process.versions.node}`,
      `nats-server ${versionIn(await askVersion(await findNatsServer()))}`,
      `PostgreSQL ${versionIn(await askVersion((await findBinaries()).postgres))}`,
      ...(redis === undefined ? [] : [`Redis ${versionIn(redis)}`]),
    ],
    fdatasyncMs,
    wakeUpUs: medianOf(await measureWakeUp()),
    isDiskMemory,
    loadAverage,
  };
}

/** In one line of Markdown. */
export function formatMachine(machine: Machine): string {
  const { processors, memoryGib, system, versions, fdatasyncMs, wakeUpUs } = machine;
  return [
    `${processors}, ${memoryGib} GiB, ${system}; ${versions.join(', ')}.`,
    `An fdatasync takes ${formatNumber(fdatasyncMs)} ms,`,
    `a byte to another process and back ${formatNumber(wakeUpUs)} µs;`,
    `load average before: ${machine.loadAverage.toFixed(2)}.`,
    ...(machine.isDiskMemory ? ['CAUTION: the disk is memory, so durability costs nothing.'] : []),
  ].join(' ');
}

function askVersion(program: string): Promise<string> {
  return runProgram(program, ['--version'], { timeoutMs: 5_000 });
}

function versionIn(text: string): string {
  return /\d+(\.\d+)+/.exec(text)?.[0] ?? text.trim();
}
