import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PORTS_VARIABLE } from '../../mesh/servers/ports.ts';
import { SEED } from '../support/seed.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** After its time-out, at which a process says what it still waits for and stops what it started. */
const KILL_AFTER_MS = 15_000;

export interface TestProcess {
  name: string;
  /** Of node. */
  args: string[];
  /** How many files it runs. */
  files: number;
}

/** Of assertions; a process that fails without one counts as one. */
export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** Runs tests that say by TAP what they find; shows their names, and everything of a failure. */
export async function runTestProcess(
  { name, args, files }: TestProcess,
  options: { timeoutS: number; isLive: boolean; ports: string; signal: AbortSignal },
): Promise<Totals> {
  const { isLive, signal } = options;
  const timeoutS = options.timeoutS * files;
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // A service starts a third faster by what was compiled for those before it.
      NODE_COMPILE_CACHE: join(ROOT, '.cache/compile'),
      [PORTS_VARIABLE]: options.ports,
      TAP_TIMEOUT: String(timeoutS),
      // One for all processes of a run.
      SEED: String(SEED),
    },
  });
  const lines: string[] = [];
  let summary = '';
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      if (line.startsWith('# { total: ')) summary = line;
      if (isNoise(line)) return;
      if (isLive) process.stdout.write(`${line}\n`);
      else lines.push(line);
    });
  }
  const end = () => child.kill('SIGTERM');
  signal.addEventListener('abort', end);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutS * 1_000 + KILL_AFTER_MS);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  signal.removeEventListener('abort', end);

  const totals = readTotals(summary);
  if (code !== 0 && totals.failed === 0) totals.failed = 1;
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const verdict = totals.failed === 0 ? 'ok' : 'NOT OK';
  // In one piece, since others write too.
  process.stdout.write(
    [`${verdict} ${name}: ${totals.passed} passed in ${seconds} s`, ...lines]
      .map((line) => `${line}\n`)
      .join(''),
  );
  return totals;
}

/** Every assertion that holds, and what TAP says for programs. */
function isNoise(line: string): boolean {
  const isAssertion = /^ {4,}ok \d+/.test(line) && !line.includes(' # ');
  return (
    isAssertion || /^(TAP version|# (?!tests\/)|1\.\.| *1\.\.\d+$| *# Subtest: | *$)/.test(line)
  );
}

function readTotals(summary: string): Totals {
  const count = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(summary)?.[1] ?? 0);
  return {
    passed: count('pass'),
    failed: count('fail'),
    skipped: count('skip') + count('todo'),
  };
}
