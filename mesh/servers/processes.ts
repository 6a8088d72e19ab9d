import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Names a process for good: its pid and the moment it started, since pids are used again (in a
 * container, by the very same program). Undefined where no such process lives.
 */
export function identifyProcess(pid: number): string | undefined {
  if (process.platform !== 'linux') {
    const started = readStart(pid);
    return started && `${pid} ${started}`;
  }
  // The program's name, in parentheses, may itself contain spaces and parentheses.
  const fields = readStat(pid)?.split(') ').at(-1)?.split(' ');
  if (fields === undefined || fields[0] === 'Z') return undefined;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${pid} ${fields[19]} ${boot}`;
}

function readStat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // It has ended.
    return undefined;
  }
}

function readStart(pid: number): string | undefined {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env,
    }).trim();
  } catch {
    // ps fails where there is no such process.
    return undefined;
  }
}
