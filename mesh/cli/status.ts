import { setTimeout as delay } from 'node:timers/promises';
import { describeTime } from './status/describe-time.ts';
import { EXIT, type Command, type CommandContext, type ExitCode } from './command.ts';
import { describeFindings, describePart } from './status/describe-status.ts';
import { diagnoseStatus } from './status/diagnose-status.ts';
import { isAway, type MeshStatus } from './status/mesh-status.ts';
import { readStatus } from './status/read-status.ts';

const WATCH_MS = 2_000;
/** Clears a terminal, and goes to its first line. */
const CLEAR = '\u001b[H\u001b[2J\u001b[3J';

/** `status`: does everything run, and keep up? */
export const status: Command = {
  name: 'status',
  synopsis: '[--watch]',
  summary: 'Shows what runs, how much waits and for how long, and what is wrong',
  help: `
Every gateway and counter service that answers through NATS, with its stats; the stream and its
consumer; the age of the oldest increment that is not yet in the database, which is at most ten
seconds; dead letters; the database. Each part is shown as it comes: a server that does not answer
hides nothing of the others, and is named after three seconds.

Last comes what is wrong: cause, what was seen, what follows, the next step and the section of
docs/runbook.md. --watch shows all of it anew every two seconds, until Ctrl-C.

It exits with 0 if all is well, with 1 if something is wrong, and with 3 if the broker does not
answer.`,
  options: { watch: { type: 'boolean' } },
  run: async (context) => {
    if (context.options['watch'] !== true) return show(context);
    for (;;) {
      const { terminal, options } = context;
      // A program reads JSON and nothing else.
      const isText = options['json'] !== true;
      if (isText && terminal.isTerminal === true) terminal.write(CLEAR);
      if (isText) terminal.write(`${describeTime(new Date())}\n`);
      await show(context);
      if (isText) terminal.write('\n');
      await delay(WATCH_MS);
    }
  },
};

async function show({ servers, print, options, terminal }: CommandContext): Promise<ExitCode> {
  const isJson = options['json'] === true;
  const parts = await readStatus(servers, (part) => {
    if (!isJson) terminal.write(`${describePart(part)}\n`);
  });
  const found: MeshStatus = { findings: diagnoseStatus(parts, servers.addresses.mesh), ...parts };
  print(
    found,
    () =>
      `${describePart({ stalenessMs: found.stalenessMs })}\n\n${describeFindings(found.findings)}`,
  );
  if (isAway(found.broker)) return EXIT.noAnswer;
  return found.findings.length === 0 ? EXIT.fine : EXIT.bad;
}
