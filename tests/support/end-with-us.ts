import { spawn } from 'node:child_process';

/** Reads until the pipe ends, which is when nobody holds its other end any more. */
const SCRIPT = 'read -r _; kill -s "$2" "$1"; kill -s CONT "$1"';

/**
 * Ends a process when this one is gone, however it went: a test that is killed has no teardown any
 * more. A shell outside of our group waits for that, and leaves when the process ends by itself.
 */
export function endWithUs<Started extends { pid: number; exited: Promise<unknown> }>(
  started: Started,
  signal: NodeJS.Signals = 'SIGKILL',
): Started {
  const args = ['-c', SCRIPT, 'sh', String(started.pid), signal.slice('SIG'.length)];
  const watch = spawn('sh', args, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  watch.unref();
  void started.exited.then(() => watch.kill('SIGKILL'));
  return started;
}
