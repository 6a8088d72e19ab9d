import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { digest } from '../../schema/digest.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WRITER = join(import.meta.dirname, 'write-packs.ts');
const LOADER = join(import.meta.dirname, 'load-packed.cjs');

/**
 * Packs the modules of each package into one file, in `.cache`, once for each state of package-lock.json: a
 * service loads 1500 of them, which takes two thirds of its start, and tests start hundreds of services.
 *
 * @returns the option of Node by which a process loads what is packed.
 */
export function packPackages(): string {
  const state = [WRITER, LOADER, join(ROOT, 'package-lock.json')].map((file) =>
    readFileSync(file, 'utf8'),
  );
  const name = `packages-${digest(process.version + state.join('')).slice(0, 8)}`;
  const folder = join(ROOT, '.cache', name);
  if (!existsSync(folder)) {
    // Not with what an older state had packed.
    const env = { ...process.env, NODE_OPTIONS: '' };
    execFileSync(process.execPath, [WRITER, folder], { cwd: ROOT, env });
  }
  return `--import=${pathToFileURL(join(folder, 'use.js')).href}`;
}
