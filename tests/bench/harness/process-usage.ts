import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** What a process has used since it started. */
export interface Usage {
  cpuSeconds: number;
  /** The most memory that was resident at once. */
  peakMib: number;
  residentMib: number;
  /** Handed to the disk, not to a cache or a socket. */
  writtenMib: number;
}

/** Linux counts processor time in hundredths of a second for every program. */
const TICKS_PER_SECOND = 100;

/**
 * Reads what a process used, together with its children where it is a family such as PostgreSQL.
 * Memory that a family shares is counted once, so its peak is what it has now. Undefined where there
 * is no /proc or no such process.
 */
export function readUsage(pid: number, isFamily = false): Usage | undefined {
  const own = readOne(pid);
  if (own === undefined || !isFamily) return own;
  const members = [pid, ...childrenOf(pid)];
  const usages = members.flatMap((member) => readOne(member) ?? []);
  const sum = (read: (usage: Usage) => number) =>
    usages.reduce((total, usage) => total + read(usage), 0);
  const shareMib = members.reduce((total, member) => total + readShareMib(member), 0);
  return {
    cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
    peakMib: shareMib,
    residentMib: shareMib,
    writtenMib: sum(({ writtenMib }) => writtenMib),
  };
}

function readOne(pid: number): Usage | undefined {
  try {
    // The program's name, in parentheses, may itself contain spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    // Its own time and that of children that have ended.
    const ticks = stat.slice(11, 15).reduce((total, field) => total + Number(field), 0);
    return {
      cpuSeconds: ticks / TICKS_PER_SECOND,
      peakMib: readKib(status, 'VmHWM') / 1024,
      residentMib: readKib(status, 'VmRSS') / 1024,
      writtenMib: readWritten(pid) / 1024 / 1024,
    };
  } catch {
    return undefined;
  }
}

/** Only its user may read it. */
function readWritten(pid: number): number {
  try {
    const io = readFileSync(`/proc/${pid}/io`, 'utf8');
    return Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0);
  } catch {
    return Number.NaN;
  }
}

/** Its part of the memory: what it shares with n others counts one nth. */
function readShareMib(pid: number): number {
  try {
    return readKib(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), 'Pss') / 1024;
  } catch {
    return 0;
  }
}

function readKib(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
}

function childrenOf(pid: number): number[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ');
    return Number(stat?.[1]);
  } catch {
    return undefined;
  }
}
