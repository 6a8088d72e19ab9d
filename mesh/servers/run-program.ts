import { execFile } from 'node:child_process';

/**
 * Runs a program to its end and returns what it printed.
 *
 * @throws Error with the last lines that the program printed, in one.
 */
export function runProgram(
  command: string,
  args: string[],
  options: {
    timeoutMs: number;
    cwd?: string;
    env?: NodeJS.ProcessEnv;
    uid?: number;
    gid?: number;
    signal?: AbortSignal | undefined;
  },
): Promise<string> {
  const { timeoutMs, ...others } = options;
  return new Promise((resolve, reject) => {
    execFile(command, args, { ...others, timeout: timeoutMs }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const lastLines = stderr.trim().split('\n').slice(-3).join('; ') || error.message;
      const reason =
        error.killed === true ? `still running after ${timeoutMs / 1000} s` : lastLines;
      reject(new Error(`${command}: ${reason}`, { cause: error }));
    });
  });
}
