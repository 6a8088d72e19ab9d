import { setTimeout as delay } from 'node:timers/promises';
import { describeExit, type DetachedProcess } from './detached-process.ts';
import { StartError } from './start-error.ts';

/**
 * Polls a new process until it is ready.
 *
 * @throws StartError when the process ends first or the deadline passes, with the last error and the
 * end of its log.
 */
export async function untilReady(
  process: DetachedProcess,
  isReady: () => Promise<boolean>,
  options: { name: string; deadlineMs: number; readLog: () => string },
): Promise<void> {
  const deadline = performance.now() + options.deadlineMs;
  let exit: string | undefined;
  let lastError: unknown;
  void process.exited.then((how) => (exit = describeExit(how)));

  for (;;) {
    try {
      if (await isReady()) return;
    } catch (error) {
      lastError = error;
    }
    if (exit !== undefined) throw failure(`${exit} before it was ready`);
    if (performance.now() > deadline) {
      throw failure(`is not ready after ${options.deadlineMs / 1000} s`);
    }
    await delay(25);
  }

  function failure(what: string): StartError {
    const reason =
      lastError instanceof Error && exit === undefined ? ` (${lastError.message})` : '';
    const log = options.readLog();
    return new StartError(`${options.name} ${what}${reason}${log && `:\n${log}`}`);
  }
}
