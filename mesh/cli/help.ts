import { styleText } from 'node:util';
import type { Command } from './command.ts';
import { formatTable } from './table.ts';

const USAGE = 'npm run mesh -- ';

/** All commands at a glance, or those of one group. */
export function overview(commands: Command[]): string {
  const rows = commands.map(({ name, synopsis, summary }) => [
    `  ${bold(name)} ${firstWord(synopsis)}`,
    summary,
  ]);
  return `
Looks at a mesh and operates it.

  ${dim(USAGE.trim())} ${bold('COMMAND')} ${dim('[--json] [--help]')}

${formatTable(rows)}

${where()}
`;
}

export function helpOf({ name, synopsis, summary, help }: Command): string {
  const usage = `${dim(USAGE)}${bold(name)}${synopsis === '' ? '' : ` ${synopsis}`}`;
  return `
${summary}.

  ${usage}

${help.replace(/^\n|\n$/g, '')}

${where()}
`;
}

function where(): string {
  return `${bold('Which mesh')}   the one that npm start runs on the data folder .mesh, or on another that the
             variable DATA_DIR names. Any other by --nats-url URL and --database-url URL,
             or by the variables NATS_URL and DATABASE_URL; NATS_CA_FILE, NATS_CERT_FILE and
             NATS_KEY_FILE are its certificates, where the brokers speak TLS.
${bold('For scripts')}  --json prints one JSON document; npm run --silent keeps npm's own lines out.
             Exit code 0: fine · 1: the answer is bad · 2: the command line is not
             understood · 3: no answer, a server can't be reached or refuses.`;
}

/** The overview has room for what must be given, not for every option. */
function firstWord(synopsis: string): string {
  return /^[A-Z]+/.exec(synopsis)?.[0] ?? '';
}

function bold(text: string): string {
  return styleText('bold', text);
}

function dim(text: string): string {
  return styleText('dim', text);
}
