import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runProgram } from './run-program.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface DebianProgram {
  packageName: string;
  /** Of the program inside the package, from its root. */
  path: string;
  /** By default sid, whose newer libc a program may need. */
  suite?: string;
}

/**
 * Fetches a program of Debian to `destination`, complete or not at all, from the mirror that apt
 * uses on this machine. With a sources file and state of its own, apt needs no root and changes
 * nothing on the machine; it checks signatures as always. Only for programs that need
 * just libc, or what the machine has.
 */
export async function fetchDebianProgram(
  { packageName, path, suite = 'sid' }: DebianProgram,
  destination: string,
  signal?: AbortSignal,
): Promise<void> {
  await unpackInto(destination, { packages: [packageName], suite, path, signal });
}

/**
 * Fetches packages to a folder, complete or not at all, with what lies in each from its root.
 *
 * @param suite one whose libraries this machine has, such as `bookworm`.
 */
export async function fetchDebianPackages(
  packages: string[],
  suite: string,
  folder: string,
): Promise<void> {
  await unpackInto(folder, { packages, suite, path: '.' });
}

async function unpackInto(
  destination: string,
  from: { packages: string[]; suite: string; path: string; signal?: AbortSignal | undefined },
): Promise<void> {
  const { packages, suite, path, signal } = from;
  if (process.platform !== 'linux') throw new Error('only on Linux');
  mkdirSync(dirname(destination), { recursive: true, mode: 0o755 });
  const draft = mkdtempSync(`${destination}.`);
  try {
    await downloadPackages(draft, { packages, suite, signal });
    const archives = readdirSync(draft).filter((name) => name.endsWith('.deb'));
    if (archives.length === 0) throw new Error('apt-get downloaded no package');
    for (const archive of archives) {
      const where = { cwd: draft, timeoutMs: 60_000, signal };
      await runProgram('dpkg', ['-x', archive, 'unpacked'], where);
    }
    renameSync(join(draft, 'unpacked', path), destination);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function downloadPackages(
  folder: string,
  from: { packages: string[]; suite: string; signal?: AbortSignal | undefined },
): Promise<void> {
  const { packages, suite, signal } = from;
  const mirror = await findMirror();
  const signedBy = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : '';
  writeFileSync(join(folder, 'sources.list'), `deb ${signedBy}${mirror} ${suite} main\n`);
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
    // As root, apt would fetch as another user, who may not reach this folder.
    '-oAPT::Sandbox::User=root',
    '-oAcquire::Languages=none',
    '-oAcquire::http::Timeout=10',
    '-oAcquire::Retries=1',
    '-q',
  ];
  const where = { cwd: folder, timeoutMs: 120_000, signal };
  await runProgram('apt-get', [...settings, 'update'], where);
  await runProgram('apt-get', [...settings, 'download', ...packages], where);
}

/** Asks apt, since a machine often has a mirror of its own; archives of other vendors are left out. */
async function findMirror(): Promise<string> {
  const targets = ['Created-By: Packages', 'Label: Debian'];
  const sites = await runProgram('apt-get', ['indextargets', '--format', '$(SITE)', ...targets], {
    timeoutMs: 10_000,
  });
  // Before the first `apt-get update` of a machine the label is not known yet.
  const all = sites.trim()
    ? sites
    : await runProgram('apt-get', ['indextargets', '--format', '$(SITE)', targets[0]!], {
        timeoutMs: 10_000,
      });
  const mirror = all.trim().split('\n')[0];
  if (!mirror) throw new Error('apt-get knows no mirror');
  return mirror;
}
