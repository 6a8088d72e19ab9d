import { runAfterExit } from '../../mesh/servers/run-after-exit.ts';

/** Ends a process when this one is gone: a test that was killed runs no teardown. */
export function endWithUs<Started extends { pid: number; exited: Promise<unknown> }>(
  started: Started,
  signal: NodeJS.Signals = 'SIGKILL',
): Started {
  const script = 'kill -s "$2" "$1"; kill -s CONT "$1"';
  const args = ['-c', script, 'sh', String(started.pid), signal.slice('SIG'.length)];
  void started.exited.then(runAfterExit('/bin/sh', args));
  return started;
}
