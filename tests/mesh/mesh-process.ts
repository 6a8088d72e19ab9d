import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endOrphans } from '../../mesh/local/orphans.ts';
import { quoteForNats } from '../../mesh/servers/nats.ts';
import { findFreePort, PORTS, PORTS_VARIABLE } from '../../mesh/servers/ports.ts';
import type { MeshFile } from '../../mesh/local/mesh-file.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { inheritedEnvironment } from '../support/inherited-environment.ts';
import { isThere, until } from '../support/until.ts';

/** A mesh as its user runs it, in a terminal of its own, and what it has printed. */
export interface MeshProcess {
  child: ChildProcess;
  dataDir: string;
  port: number;
  output(): string;
  says(text: string | RegExp, deadlineMs?: number): Promise<void>;
  describe(): MeshFile;
  exited: Promise<void>;
}

export interface MeshOptions {
  dataDir: string;
  port?: number;
  environment?: NodeJS.ProcessEnv;
  /** Else what npm starts is started at once, which takes less. */
  isByNpm?: boolean;
}

export async function startMesh(options: MeshOptions): Promise<MeshProcess> {
  const mesh = await launchMesh(options);
  try {
    await Promise.race([
      mesh.says('increment-mesh is ready', 60_000),
      mesh.exited.then(() => Promise.reject(new Error(`it ended:\n${mesh.output()}`))),
    ]);
    return mesh;
  } catch (error) {
    await stopMesh(mesh);
    throw error;
  }
}

/** In order, as by Ctrl-C; one that has ended stays as it is. */
export async function stopMesh({ child, exited }: MeshProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGTERM');
  await exited;
}

export async function launchMesh({
  dataDir,
  environment,
  isByNpm = false,
  ...rest
}: MeshOptions): Promise<MeshProcess> {
  const port = rest.port ?? (await findFreePort());
  const command = isByNpm ? 'npm' : process.execPath;
  const child = spawn(command, [isByNpm ? 'start' : 'mesh/local/start.ts'], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    // A group of its own, as in a terminal.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inheritedEnvironment(),
      [PORTS_VARIABLE]: portsOf(dataDir),
      DATA_DIR: dataDir,
      PORT: String(port),
      ...environment,
    },
  });
  const exited = once(child, 'exit').then(() => undefined);
  // npm hands it on, and the mesh stops what it has started.
  endWithUs({ pid: child.pid ?? 0, exited }, 'SIGTERM');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const says = async (text: string | RegExp, deadlineMs = 20_000) => {
    const matches = () => (typeof text === 'string' ? output.includes(text) : text.test(output));
    await until(`${text} in\n${output}`, matches, isThere, deadlineMs);
  };
  const describe = () => JSON.parse(readFileSync(join(dataDir, 'mesh.json'), 'utf8')) as MeshFile;
  return { child, dataDir, port, output: () => output, says, describe, exited };
}

const blocks: string[] = [];
/** A mesh with three brokers and three gateways needs 20. */
const BLOCK = 50;

/** Meshes that start at the same time do not look for the same ports: the last ones of this process. */
function portsOf(dataDir: string): string {
  if (!blocks.includes(dataDir)) blocks.push(dataDir);
  const range = process.env[PORTS_VARIABLE] ?? `${PORTS.from}-${PORTS.to}`;
  const end = Number(range.split('-')[1]) - BLOCK * blocks.indexOf(dataDir);
  return `${end - BLOCK}-${end}`;
}

/** Whatever a path may have in it. */
const HOSTILE = `it's, "a" \\n; $HOME #\u00fc`;

/** Open to the user of PostgreSQL; what is still running on it at the end is ended. */
export function makeDataDir(t: { teardown: (end: () => Promise<void>) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  chmodSync(folder, 0o711);
  const dataDir = join(folder, HOSTILE);
  t.teardown(async () => {
    await endOrphans(dataDir, () => {});
    rmSync(folder, { recursive: true, force: true });
  });
  return dataDir;
}

/** The command of every process that has the folder in its arguments or variables: none after a stop. */
export function processesOf(dataDir: string): string[] {
  return findProcesses(dataDir).map(({ command }) => command);
}

/** By pid and command, as Linux shows them; of what has just ended nothing can be read. */
export function findProcesses(dataDir: string): { pid: number; command: string }[] {
  // nats-server has it with escapes.
  const names = [dataDir, quoteForNats(dataDir).slice(1, -1)];
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
      const [args, variables] = [read('cmdline'), read('environ')];
      const isOfFolder = [...args, ...variables].some((one) =>
        names.some((name) => one.includes(name)),
      );
      return isOfFolder ? [{ pid: Number(pid), command: args.join(' ').trim() }] : [];
    } catch {
      return [];
    }
  });
}

export async function increment(mesh: MeshProcess, key: string, value: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${mesh.port}/increment`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key, value }),
  });
  await response.body?.cancel();
  return response.status;
}

export async function total(mesh: MeshProcess, key: string): Promise<string | undefined> {
  const response = await fetch(`http://127.0.0.1:${mesh.port}/counters/${key}`);
  return ((await response.json()) as { value?: string }).value;
}
