import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readCounterLines } from '../../gateway/reads/counter-lines.ts';
import type { LastLine } from '../../schema/http/counter.ts';
import { EXIT, type Command } from './command.ts';
import { UsageError } from './errors.ts';
import { plural } from '../../telemetry/quantities.ts';

/** `export`: all counters as lines. */
export const exportCommand: Command = {
  name: 'export',
  synopsis: '[--out FILE]',
  summary: 'Writes all counters as lines of JSON',
  help: `
Reads all counters from the database at one moment and writes a line of JSON for each, in the order of
their keys, to standard output or to a file:

  {"key":"86f1fe5b-6dc7-45cb-9837-9e84757f5246","value":"5","updated_at":"2026-11-23T08:47:44.642Z"}

The last line says how complete they are and how many; without it the output was cut off. import reads
such a file. Services go on meanwhile. What is not counted yet is not in it: to move a mesh, stop its
gateways, and export when status shows that nothing waits.

  --out FILE   writes the file, in the place of one that is there, when all of it is written`,
  options: { out: { type: 'string' } },
  run: async ({ options, servers, terminal, print }) => {
    const database = await servers.database();
    const lines = readCounterLines(database);
    if (typeof options.out !== 'string') {
      for await (const chunk of lines) {
        terminal.write(chunk);
        await terminal.drained();
      }
      return EXIT.fine;
    }
    const file = resolve(terminal.environment.INIT_CWD ?? '', options.out);
    const { counters, complete_through: completeThrough } = await writeLines(file, lines);
    print(
      { file, counters, completeThrough },
      () => `${plural(counters, 'counter')} in ${file}, complete through ${completeThrough ?? '?'}`,
    );
    return EXIT.fine;
  },
};

/**
 * Others see the file when it is whole. What is no file, such as /dev/null or a named pipe, is written into,
 * and never replaced.
 *
 * @returns its last line.
 */
async function writeLines(file: string, lines: AsyncIterable<string>): Promise<LastLine> {
  const draft = isSomethingElse(file) ? undefined : `${file}.${randomUUID()}`;
  try {
    const handle = await (draft === undefined ? open(file, 'w') : open(draft, 'wx', 0o600));
    let last = '';
    try {
      for await (const chunk of lines) {
        await handle.writeFile(chunk);
        last = chunk;
      }
      if (draft !== undefined) await handle.sync();
    } finally {
      await handle.close();
    }
    if (draft !== undefined) await rename(draft, file);
    return JSON.parse(last) as LastLine;
  } catch (error) {
    if (draft !== undefined) await rm(draft, { force: true });
    const { code, message, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    throw new UsageError(`${file} can't be written: ${message}`, { cause: error });
  }
}

function isSomethingElse(path: string): boolean {
  try {
    return !statSync(path).isFile();
  } catch {
    return false;
  }
}
