import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import { takeStreamName } from './take-stream-name.ts';

// The process of `npm run mesh -- COMMAND`.

// `| head` has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});
takeStreamName(process.argv.slice(2), process.env);
const { runCommandLine } = await import('./run-command-line.ts');
const code = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  write: (output) => void process.stdout.write(output),
  drained: async () => {
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
  },
  writeError: (output) => void process.stderr.write(output),
  readInput: () => text(process.stdin),
  input: () => process.stdin,
  isTerminal: process.stdout.isTTY,
  ...(process.stdin.isTTY && { ask }),
});
// A connection to a frozen server would keep the process; what was written is written first.
process.stdout.write('', () => process.exit(code));

async function ask(question: string): Promise<string> {
  const dialogue = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await dialogue.question(question);
  } finally {
    dialogue.close();
  }
}
