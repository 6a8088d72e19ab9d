import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import { takeStreamName } from './take-stream-name.ts';

// The process of `npm run mesh -- COMMAND`.

takeStreamName(process.argv.slice(2), process.env);
const { runCommandLine } = await import('./run-command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  write: (output) => void process.stdout.write(output),
  writeError: (output) => void process.stderr.write(output),
  readInput: () => text(process.stdin),
  ...(process.stdin.isTTY && { ask }),
});

async function ask(question: string): Promise<string> {
  const dialogue = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await dialogue.question(question);
  } finally {
    dialogue.close();
  }
}
