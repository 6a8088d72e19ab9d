import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Servers } from '../../support/servers.ts';
import type { Service } from '../../support/services.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface CommandResult {
  code: number;
  output: string;
  error: string;
  /** Of `--json`. */
  answer: () => any;
}

export type RunCommand = (line: string, input?: string) => Promise<CommandResult>;

/** Runs commands as a user does, in a process of their own, on servers that a data folder names. */
export function commandsOn(
  servers: Servers,
  services: { gateways?: Service[]; counters?: Service[] } = {},
): RunCommand {
  const dataDir = join(servers.folder, 'data');
  mkdirSync(dataDir, { recursive: true });
  const { urls, nats, postgres } = servers;
  const pids = (list: Service[] = []) => list.map(({ pid, metrics }) => ({ pid, metrics }));
  const mesh = {
    gateways: pids(services.gateways),
    counters: pids(services.counters),
    nats: [{ pid: nats.pid, url: urls.nats.inspector }],
    postgres: { pid: postgres.pid, url: postgres.url },
  };
  const passwords = Object.entries(urls.nats).map(([role, url]) => [role, new URL(url).password]);
  const secrets = { nats: Object.fromEntries(passwords), postgres: {} };
  writeFileSync(join(dataDir, 'mesh.json'), JSON.stringify(mesh));
  writeFileSync(join(dataDir, 'secrets.json'), JSON.stringify(secrets));
  const environment = { DATA_DIR: dataDir, XDG_CONFIG_HOME: servers.folder, INIT_CWD: dataDir };
  return (line, input) => runCommand(line, environment, input);
}

export async function runCommand(
  line: string,
  environment: NodeJS.ProcessEnv,
  input = '',
): Promise<CommandResult> {
  const { NODE_OPTIONS: _testRunners, ...inherited } = process.env;
  const words = line.split(' ').filter((word) => word !== '');
  const child = spawn(process.execPath, ['mesh/commands/main.ts', ...words], {
    cwd: ROOT,
    env: { ...inherited, NO_COLOR: '1', ...environment },
  });
  // One that does not read its input may have ended before it is written.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [output, error, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code: code as number, output, error, answer: () => JSON.parse(output) };
}
