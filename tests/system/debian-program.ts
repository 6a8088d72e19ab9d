import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../../mesh/embedded/run.ts';

const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * A program of Debian's suite sid, fetched once into the project's cache from the mirror that this
 * machine's apt uses. Nothing is installed, no root is needed, and apt checks the signatures.
 *
 * @param path where the package has it.
 */
export async function findDebianProgram(name: string, path: string): Promise<string> {
  const destination = join(CACHE, `${name}-${process.arch}`);
  if (existsSync(destination)) return destination;
  mkdirSync(CACHE, { recursive: true });
  const draft = mkdtempSync(`${destination}.`);
  try {
    await downloadPackage(draft, name);
    const archive = readdirSync(draft).find((file) => file.endsWith('.deb')) ?? '';
    await run('dpkg', ['-x', archive, 'unpacked'], { cwd: draft, timeoutMs: 60_000 });
    renameSync(join(draft, 'unpacked', path), destination);
    return destination;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function downloadPackage(folder: string, name: string): Promise<void> {
  const sites = await run(
    'apt-get',
    ['indextargets', '--format', '$(SITE)', 'Created-By: Packages'],
    { timeoutMs: 10_000 },
  );
  const mirror = sites.trim().split('\n')[0] ?? '';
  const signedBy = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
  writeFileSync(join(folder, 'sources.list'), `deb ${signedBy}${mirror} sid main\n`);
  for (const state of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(folder, state), { recursive: true });
  }
  const settings = [
    `-oDir::Etc::SourceList=${join(folder, 'sources.list')}`,
    '-oDir::Etc::SourceParts=/dev/null',
    '-oDir::Etc::Preferences=/dev/null',
    '-oDir::Etc::PreferencesParts=/dev/null',
    `-oDir::State::Lists=${join(folder, 'lists')}`,
    `-oDir::Cache=${join(folder, 'cache')}`,
    '-oAPT::Sandbox::User=root',
    '-oAcquire::Languages=none',
    '-q',
  ];
  const where = { cwd: folder, timeoutMs: 120_000 };
  await run('apt-get', [...settings, 'update'], where);
  await run('apt-get', [...settings, 'download', name], where);
}
