import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { runCommandLine } from '../../../mesh/cli/run-command-line.ts';
import type { Servers } from '../../support/servers.ts';
import type { Service } from '../../support/services.ts';

export interface CommandResult {
  code: number;
  output: string;
  error: string;
  /** Of `--json`. */
  answer: () => any;
}

/** As its log is. */
type Named = Service & { name?: string };

export type RunCommand = (line: string, input?: string) => Promise<CommandResult>;

/** Runs command lines as the process does, on servers that a data folder names. */
export function commandsOn(
  servers: Servers,
  services: { gateways?: Named[]; counters?: Named[] } = {},
  more: NodeJS.ProcessEnv = {},
): RunCommand {
  const dataDir = join(servers.folder, 'data');
  mkdirSync(dataDir, { recursive: true });
  const { urls, nats } = servers;
  const pids = (list: Named[] = []) =>
    list.map(({ name, pid, metrics }) => ({ name, pid, metrics }));
  const mesh = {
    gateways: pids(services.gateways),
    counters: pids(services.counters),
    nats: [{ pid: nats.pid, url: urls.nats.inspector }],
    postgres: { pid: null, url: urls.ownerDatabase },
  };
  const passwords = Object.entries(urls.nats).map(([role, url]) => [role, new URL(url).password]);
  const secrets = { nats: Object.fromEntries(passwords), postgres: {} };
  writeFileSync(join(dataDir, 'mesh.json'), JSON.stringify(mesh));
  writeFileSync(join(dataDir, 'secrets.json'), JSON.stringify(secrets));
  const environment = {
    DATA_DIR: dataDir,
    XDG_CONFIG_HOME: servers.folder,
    INIT_CWD: dataDir,
    ...more,
  };
  return (line, input) => runCommand(line, environment, input);
}

export async function runCommand(
  line: string,
  environment: NodeJS.ProcessEnv,
  input = '',
): Promise<CommandResult> {
  const written = { output: '', error: '' };
  const code = await runCommandLine(
    line.split(' ').filter((word) => word !== ''),
    {
      environment,
      write: (text) => void (written.output += stripVTControlCharacters(text)),
      writeError: (text) => void (written.error += stripVTControlCharacters(text)),
      drained: () => Promise.resolve(),
      readInput: () => Promise.resolve(input),
      input: () => Readable.from([Buffer.from(input)]),
    },
  );
  return { code, ...written, answer: () => JSON.parse(written.output) };
}
