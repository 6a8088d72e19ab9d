import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { runProgram } from './run-program.ts';

const BUILD_MS_MAX = 10 * 60_000;

/**
 * Compiles the program of a Go module to `destination`, complete or not at all, where Go is installed. Go
 * compares its source with Go's checksum database.
 *
 * @param source of one version, such as `github.com/nats-io/natscli/nats@v0.5.0`.
 */
export async function fetchGoProgram(
  source: string,
  destination: string,
  signal?: AbortSignal,
): Promise<void> {
  mkdirSync(dirname(destination), { recursive: true, mode: 0o755 });
  const draft = mkdtempSync(`${destination}.`);
  try {
    await runProgram('go', ['install', source], {
      cwd: draft,
      env: { ...process.env, GOBIN: draft },
      timeoutMs: BUILD_MS_MAX,
      signal,
    });
    renameSync(join(draft, programOf(source)), destination);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** `go install` names it after its folder, and leaves out a version at the end of the path. */
function programOf(source: string): string {
  const [path = ''] = source.split('@');
  return basename(/\/v\d+$/.test(path) ? dirname(path) : path);
}
