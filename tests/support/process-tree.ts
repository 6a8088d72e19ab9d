import { readdirSync, readFileSync } from 'node:fs';

export interface TreeProcess {
  pid: number;
  /** One letter, as in /proc/PID/stat: `T` is stopped. */
  state: string;
}

/** A process and all that it has started, and they; as Linux shows them. Zombies are left out. */
export function findProcessTree(root: number): TreeProcess[] {
  const all = readdirSync('/proc').flatMap(readProcess);
  const ofTree = (process: TreeProcess): TreeProcess[] => [
    process,
    ...all.filter(({ parent }) => parent === process.pid).flatMap(ofTree),
  ];
  return all.filter(({ pid }) => pid === root).flatMap(ofTree);
}

function readProcess(name: string): (TreeProcess & { parent: number })[] {
  if (!/^\d+$/.test(name)) return [];
  try {
    // The program's name, in parentheses, may itself contain spaces and parentheses.
    const fields = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    const [state = '', parent] = fields;
    return state === 'Z' ? [] : [{ pid: Number(name), state, parent: Number(parent) }];
  } catch {
    // It has just ended.
    return [];
  }
}
