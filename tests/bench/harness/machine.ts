import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { statfsSync } from 'node:fs';
import { findNatsServer } from '../../../mesh/servers/find-nats-server.ts';
import { findBinaries } from '../../../mesh/servers/postgres-cluster.ts';
import { runProgram } from '../../../mesh/servers/run-program.ts';
import { measureDisk } from './disk.ts';
import { medianOf } from './median.ts';
import { withScope } from './scope.ts';
import { makeFolder } from './servers.ts';

/** Linux' number for file systems in memory, on which an fsync costs nothing. */
const TMPFS = 0x01021994;

export interface Machine {
  date: string;
  processors: string;
  memoryGib: number;
  system: string;
  node: string;
  natsServer: string;
  postgres: string;
  /** A write of 4 KiB that is on the disk, in milliseconds: the median of some. */
  fdatasyncMs: number;
  isDiskMemory: boolean;
  /** Of the minute before; other work on the machine spoils the figures. */
  loadAverage: number;
}

export async function describeMachine(): Promise<Machine> {
  const version = await runProgram(await findNatsServer(), ['--version'], { timeoutMs: 5_000 });
  const postgres = await runProgram((await findBinaries()).postgres, ['--version'], {
    timeoutMs: 5_000,
  });
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
    system: `${type()} ${release()}`,
    node: process.version,
    natsServer: version.trim(),
    postgres: postgres.trim(),
    fdatasyncMs,
    isDiskMemory,
    loadAverage: loadavg()[0] ?? Number.NaN,
  };
}

export function formatMachine(machine: Machine): string {
  const { processors, memoryGib, system, node, fdatasyncMs, loadAverage } = machine;
  const lines = [
    `${processors}, ${memoryGib} GiB, ${system}`,
    `node ${node}, ${machine.natsServer}, ${machine.postgres}`,
    `fdatasync ${fdatasyncMs.toFixed(2)} ms, load average before ${loadAverage.toFixed(2)}`,
  ];
  if (machine.isDiskMemory) lines.push('CAUTION: the disk is memory, so durability costs nothing');
  return lines.join('\n');
}
