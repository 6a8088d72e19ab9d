import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { NatsServerSource } from './nats-server-source.ts';
import { runProgram } from './run-program.ts';

/** The version of compose.yaml too. */
export const VERSION = '2.14.5';

/** With the checksums of the official image's build file. */
const ARCHIVES: Record<string, { name: string; sha256: string }> = {
  x64: {
    name: `nats-server-v${VERSION}-linux-amd64`,
    sha256: '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355',
  },
  arm64: {
    name: `nats-server-v${VERSION}-linux-arm64`,
    sha256: '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c',
  },
};

/** The archive that the nats-server project publishes. */
export const fetchRelease: NatsServerSource = {
  name: `the release archive ${VERSION} of nats-server`,
  async fetch(destination, signal) {
    const archive = process.platform === 'linux' ? ARCHIVES[process.arch] : undefined;
    if (archive === undefined) {
      throw new Error(`no archive is pinned for ${process.platform} on ${process.arch}`);
    }
    const content = await download(
      `https://github.com/nats-io/nats-server/releases/download/v${VERSION}/${archive.name}.tar.gz`,
      signal,
    );
    const sha256 = createHash('sha256').update(content).digest('hex');
    if (sha256 !== archive.sha256) {
      throw new Error(`its SHA-256 is ${sha256} instead of ${archive.sha256}, so it is not used`);
    }

    mkdirSync(dirname(destination), { recursive: true, mode: 0o755 });
    const draft = mkdtempSync(`${destination}.`);
    try {
      writeFileSync(join(draft, 'archive.tar.gz'), content);
      await runProgram('tar', ['-xzf', 'archive.tar.gz', '--strip-components=1'], {
        cwd: draft,
        timeoutMs: 30_000,
        signal,
      });
      chmodSync(join(draft, 'nats-server'), 0o755);
      renameSync(join(draft, 'nats-server'), destination);
    } finally {
      rmSync(draft, { recursive: true });
    }
  },
};

/** A network that drops packets costs ten seconds; a slow download may take a minute and a half. */
async function download(url: string, signal?: AbortSignal): Promise<Uint8Array> {
  const noAnswer = new AbortController();
  const timer = setTimeout(() => noAnswer.abort(new Error('no answer within 10 s')), 10_000);
  const signals = [noAnswer.signal, AbortSignal.timeout(90_000), ...(signal ? [signal] : [])];
  try {
    const response = await fetch(url, { signal: AbortSignal.any(signals) });
    clearTimeout(timer);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return await response.bytes();
  } catch (error) {
    // "fetch failed" says nothing; its cause does.
    const reason = error instanceof TypeError ? (error.cause as Error | undefined) : undefined;
    throw reason ?? error;
  } finally {
    clearTimeout(timer);
  }
}
