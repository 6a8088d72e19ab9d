import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Account } from '../servers/postgres-account.ts';
import { runProgram } from '../servers/run-program.ts';

export type Kind = 'gateway' | 'counter' | 'nats' | 'proxy';

/**
 * Under root each kind of process runs as a user of its own, so that none reads the memory, the variables or
 * the files of another, or of root. These users need no entry in passwd; the numbers are from the range that
 * systemd keeps for such users.
 */
export const ACCOUNTS: Record<Kind, Account> = {
  gateway: { uid: 64_201, gid: 64_201 },
  counter: { uid: 64_202, gid: 64_202 },
  nats: { uid: 64_203, gid: 64_203 },
  proxy: { uid: 64_204, gid: 64_204 },
};

/** What a process can't do without. */
export interface Needs {
  /** Files that it reads or executes, and folders that it enters. */
  paths: string[];
  /** Where it listens. */
  port?: number | undefined;
}

/** The user to run as, and a folder that belongs to it; undefined: as we are. */
export type RunAs = (
  kind: Kind,
  needs: Needs,
) => Promise<{ account: Account; home: string } | undefined>;

/** Where Linux does not say it. */
const UNPRIVILEGED_PORT_MIN = 1024;

/** Finds the user of each process; what keeps it from another than root is said once. */
export function createRunAs(dataFolder: string, say: (line: string) => void): RunAs {
  const said = new Set<string>();
  return async (kind, needs) => {
    if (process.getuid?.() !== 0) return undefined;
    const account = ACCOUNTS[kind];
    const problem = findProblem({
      closed: await findClosed(account, needs.paths),
      port: needs.port,
      portMin: readPortMin(),
    });
    if (problem === undefined) return { account, home: makeHome(dataFolder, kind) };
    const line = `${kind} runs as root, not as user ${account.uid}: ${problem}`;
    if (!said.has(line)) say(line);
    said.add(line);
    return undefined;
  };
}

/**
 * Why a process must run as root; undefined where it need not.
 *
 * @param facts.closed the first path on the way that its user can't enter or read, or why there can't be that user.
 * @param facts.portMin from which all users may listen.
 */
export function findProblem(facts: {
  closed: string | Error | undefined;
  port: number | undefined;
  portMin: number;
}): string | undefined {
  const { closed, port, portMin } = facts;
  if (closed instanceof Error) return `that user can't be taken (${closed.message})`;
  if (closed !== undefined) {
    return `that user can't reach ${closed}. Open that to it, or run npm start as a user other than root`;
  }
  if (port !== undefined && port < portMin) {
    return `only root may listen on port ${port}. Choose one from ${portMin}`;
  }
  return undefined;
}

/** As the user itself sees it, whatever modes and access lists say. */
async function findClosed(account: Account, paths: string[]): Promise<string | Error | undefined> {
  const script =
    'for path; do test -d "$path" -a -x "$path" || test ! -d "$path" -a -r "$path" || ' +
    '{ printf %s "$path"; exit; }; done';
  // What is not there is for the program to say.
  const all = paths.filter((path) => existsSync(path)).flatMap(withFolders);
  try {
    const args = ['-c', script, 'sh', ...new Set(all)];
    const closed = await runProgram('sh', args, { ...account, cwd: '/', timeoutMs: 5_000 });
    return closed === '' ? undefined : closed;
  } catch (error) {
    return error as Error;
  }
}

/** From the root to the path itself. */
function withFolders(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...withFolders(parent), path];
}

function readPortMin(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return UNPRIVILEGED_PORT_MIN;
  }
}

function makeHome(dataFolder: string, kind: Kind): string {
  const homes = join(dataFolder, 'homes');
  mkdirSync(homes, { recursive: true });
  chmodSync(homes, 0o711);
  const home = join(homes, kind);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  chownSync(home, ACCOUNTS[kind].uid, ACCOUNTS[kind].gid);
  return home;
}
