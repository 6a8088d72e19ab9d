import { spawn } from 'node:child_process';

/** `read` fails when the pipe ends: when no process holds its other end any more. */
const SCRIPT = 'read -r _ || exec "$@"';

/**
 * Runs a program once this process is gone, even if it was killed. A shell in a session of its own waits
 * for that.
 *
 * @returns a function that cancels it.
 */
export function runAfterExit(command: string, args: string[]): () => void {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'sh', command, ...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  return () => void shell.kill('SIGKILL');
}
