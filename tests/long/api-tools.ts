import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '../support/inherited-environment.ts';

/** Linters and generators of other people, at the versions with which they were tried. */
const NPM = [
  '@redocly/cli@2.77.0',
  '@stoplight/spectral-cli@6.16.3',
  '@hey-api/openapi-ts@0.99.0',
  'typescript@6.0.3',
];
const PYTHON = ['openapi-python-client==0.29.1', 'ruff==0.17.6', 'schemathesis==4.32.5'];
const CACHE = fileURLToPath(new URL('../../.cache/api-tools', import.meta.url));
const INSTALL_MS_MAX = 240_000;
const RUN_MS_MAX = 240_000;

const execute = promisify(execFile);

/** Runs a program, and rejects with its output where it fails. */
export async function run(
  program: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string>; timeout?: number } = {},
): Promise<string> {
  const env = { ...inheritedEnvironment(), ...options.env };
  try {
    const { stdout } = await execute(program, args, { timeout: RUN_MS_MAX, ...options, env });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & Record<string, string>;
    throw new Error(`${message}\n${stdout}${stderr}`, { cause: error });
  }
}

/** Fetched once into the project's cache. @returns the folder of their programs. */
export function findNpmTools(): Promise<string> {
  return findTools('npm', 'node_modules/.bin', NPM, async (folder) => {
    writeFileSync(join(folder, 'package.json'), '{"private":true}');
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
    await run('npm', ['install', ...quiet, ...NPM], { cwd: folder, timeout: INSTALL_MS_MAX });
  });
}

/** The same of Python's, where Python is there. */
export function findPythonTools(): Promise<string> {
  return findTools('python', 'bin', PYTHON, async (folder) => {
    await run('python3', ['-m', 'venv', folder]);
    const pip = ['-m', 'pip', 'install', '--quiet', ...PYTHON];
    await run(join(folder, 'bin/python'), pip, { timeout: INSTALL_MS_MAX });
  });
}

async function findTools(
  name: string,
  programs: string,
  packages: string[],
  install: (folder: string) => Promise<void>,
): Promise<string> {
  const versions = packages.join('+').replace(/[^a-z0-9.+-]+/gi, '_');
  const folder = join(CACHE, name, versions);
  const done = join(folder, 'installed');
  if (!existsSync(done)) {
    mkdirSync(folder, { recursive: true });
    await install(folder);
    writeFileSync(done, '');
  }
  return join(folder, programs);
}
