import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface RunningProcess {
  pid: number;
  /** The program and its arguments, separated by spaces. */
  command: string;
}

/** All processes of this machine that we may see. Linux is read directly: slim images have no ps. */
export function listProcesses(): RunningProcess[] {
  if (process.platform !== 'linux') return readPs();
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const command = readProc(name, 'cmdline')?.replace(/\0+$/, '').replaceAll('\0', ' ');
      return command ? [{ pid: Number(name), command }] : [];
    });
}

/**
 * Names a process for good: its pid together with the moment it started, since pids are used again
 * (in a container, by the very same program). Undefined where no such process lives.
 */
export function identifyProcess(pid: number): string | undefined {
  if (process.platform !== 'linux') {
    const line = runPs('-o', 'lstart=', '-p', String(pid)).trim();
    return line ? `${pid} ${line}` : undefined;
  }
  // The program's name, in parentheses, may itself contain spaces and parentheses.
  const fields = readProc(String(pid), 'stat')?.split(') ').at(-1)?.split(' ');
  if (fields === undefined || fields[0] === 'Z') return undefined;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${pid} ${fields[19]} ${boot}`;
}

/** A process may end at any moment, so nothing that can't be read is an error. */
function readProc(pid: string, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}

function readPs(): RunningProcess[] {
  return runPs('-axww', '-o', 'pid=,args=')
    .split('\n')
    .flatMap((line) => {
      const match = /^\s*(\d+)\s+(.+)$/.exec(line);
      return match ? [{ pid: Number(match[1]), command: match[2]! }] : [];
    });
}

function runPs(...args: string[]): string {
  try {
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    return execFileSync('ps', args, { encoding: 'utf8', env, maxBuffer: 64 * 1024 * 1024 });
  } catch {
    // ps fails where it finds none of the pids it was asked for.
    return '';
  }
}
