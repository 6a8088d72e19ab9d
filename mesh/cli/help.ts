import { styleText } from 'node:util';
import type { Command } from './command.ts';
import { formatTable } from './table.ts';

const USAGE = 'npm run mesh -- ';

/** All commands at a glance, or those of one group. */
export function overview(commands: Command[]): string {
  const rows = commands.map(({ name, synopsis, summary }) => [
    `  ${bold(name)} ${requiredWord(synopsis)}`,
    summary,
  ]);
  return `
Inspects and operates a mesh. A counter is a row of the table; a counter service is a process that
adds increments to it.

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
  return `${bold('Which mesh')}   The one that npm start runs on the data folder .mesh, or on the folder in DATA_DIR.
             Any other with --nats-url URL and --database-url URL, or with the variables
             NATS_URL and DATABASE_URL. Where its brokers use TLS, the certificates are in
             NATS_CA_FILE, NATS_CERT_FILE and NATS_KEY_FILE.
${bold('For scripts')}  --json prints one JSON document; npm run --silent hides npm's own lines.
             Exit code 0: fine · 1: a bad answer · 2: a wrong command line · 3: no answer, since
             a server can't be reached or refuses.`;
}

/** The overview only has room for an argument that is required. */
function requiredWord(synopsis: string): string {
  return /^[A-Z]+/.exec(synopsis)?.[0] ?? '';
}

function bold(text: string): string {
  return styleText('bold', text);
}

function dim(text: string): string {
  return styleText('dim', text);
}
