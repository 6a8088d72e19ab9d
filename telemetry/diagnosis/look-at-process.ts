import { readFileSync } from 'node:fs';
import type { Instance } from '../instance.ts';

/**
 * What became of the process of a service that is silent.
 *
 * @param own where this process runs: it sees only processes of the same host and namespace.
 * @returns undefined where it can't be seen.
 */
export function lookAtProcess(
  { pid, host, pid_namespace: namespace }: Partial<Instance>,
  own: Instance,
): 'died' | 'frozen' | 'runs' | undefined {
  const isVisible = host === own.host && namespace !== undefined && namespace === own.pid_namespace;
  if (!isVisible || pid === undefined) return undefined;
  try {
    return stateOf(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'died' : undefined;
  }
}

/** The letter follows the program's name, which is in brackets and may have brackets itself. */
function stateOf(stat: string): 'died' | 'frozen' | 'runs' {
  const state = stat.charAt(stat.lastIndexOf(')') + 2);
  if (state === 'Z' || state === 'X') return 'died';
  return state === 'T' || state === 't' ? 'frozen' : 'runs';
}
