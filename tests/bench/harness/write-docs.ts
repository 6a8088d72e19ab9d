import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText, replaceBlock, ROOT } from '../../docs/pages.ts';
import type { BenchOptions } from '../options.ts';
import { formatMachine, type Machine } from './machine.ts';

/** Both show the same: one run, and what it ran on. */
export const PAGES = ['README.md', 'docs/benchmarks.md'];
export const BLOCK = 'benchmark';

/** Puts the tables of a run between the markers of both pages. */
export function writeDocs(tables: string, machine: Machine, options: BenchOptions): void {
  const text = `${describeRun(machine, options)}\n\n${tables}`;
  for (const page of PAGES) {
    writeFileSync(join(ROOT, page), replaceBlock(readText(page), BLOCK, text));
  }
}

function describeRun(machine: Machine, options: BenchOptions): string {
  const { seconds, rounds, warmupSeconds, connections, keys } = options;
  const command =
    `npm run bench -- --seconds ${seconds} --rounds ${rounds} --warmup ${warmupSeconds} ` +
    `--connections ${connections.join(',')} --keys ${keys}`;
  return `Measured on ${machine.date.slice(0, 10)} by \`${command}\` on ${formatMachine(machine)}`;
}
