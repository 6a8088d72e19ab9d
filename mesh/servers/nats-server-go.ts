import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VERSION } from './nats-server-release.ts';
import type { NatsServerSource } from './nats-server-source.ts';
import { runProgram } from './run-program.ts';

/** The pinned version, compiled where Go is installed. Go compares its source with Go's checksum database. */
export const buildWithGo: NatsServerSource = {
  name: `the Go module ${VERSION} of nats-server`,
  async fetch(destination, signal) {
    mkdirSync(dirname(destination), { recursive: true, mode: 0o755 });
    const draft = mkdtempSync(`${destination}.`);
    try {
      await runProgram('go', ['install', `github.com/nats-io/nats-server/v2@v${VERSION}`], {
        cwd: draft,
        env: { ...process.env, GOBIN: draft },
        timeoutMs: 10 * 60_000,
        signal,
      });
      renameSync(join(draft, 'nats-server'), destination);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  },
};
