import { COMMANDS } from '../../mesh/cli/commands.ts';
import { codeOf, readPages, readText } from '../docs/pages.ts';

/** A command of the nats CLI that a page names. */
export interface DocumentedCommand {
  /** Where it is written: `docs/runbook.md`. */
  place: string;
  /** Without what runs it in a container. */
  line: string;
  isInContainer: boolean;
  /** What the page shows of its output; empty where it shows none. */
  output: string[];
}

/** The page that shows commands with their output. */
export const NATS_CLI_PAGE = 'docs/nats-cli.md';

/**
 * A line that is a command: after a prompt, with variables or a container before it, and up to two spaces, after
 * which compose.yaml explains it.
 */
const COMMAND =
  /^(?:\$ )?((?:[A-Z_]+=('[^']*'|\S+) )*)(docker compose run --rm )?(nats (?:(?! {2}).)+)/;
/** What a page says in short, after it has said what it is about: `stream info INCREMENTS`. */
const SHORT = /^(?:account|consumer|context|events|micro|server|stream|sub) [a-z]+(?: [A-Z]\S*)*$/;

/** Each once, those of the page that shows their output last: the last of them remove things. */
export function readDocumentedCommands(printed: string): DocumentedCommand[] {
  const pages = readPages().filter(({ path }) => path !== 'CHANGELOG.md');
  const places = [
    ...pages.map(({ path, text }) => ({ place: path, lines: codeOf(text) })),
    { place: 'compose.yaml', lines: commentsOf(readText('compose.yaml')) },
    ...COMMANDS.map(({ name, help }) => ({ place: `help ${name}`, lines: help.split('\n') })),
    { place: 'what npm start prints', lines: printed.split('\n') },
  ];
  const named = places.flatMap(({ place, lines }) =>
    lines.flatMap((text) => {
      const command = commandOf(text.trim());
      return command === undefined ? [] : [{ place, ...command, output: [] }];
    }),
  );
  const shown = readShown(readText(NATS_CLI_PAGE));
  const seen = new Set(shown.map(keyOf));
  const once = named.filter((one) => !seen.has(keyOf(one)) && seen.add(keyOf(one)));
  return [...once, ...shown];
}

function keyOf({ line, isInContainer }: DocumentedCommand): string {
  return `${line} ${isInContainer}`;
}

function commandOf(text: string): Pick<DocumentedCommand, 'line' | 'isInContainer'> | undefined {
  if (SHORT.test(text)) return { line: `nats ${text}`, isInContainer: false };
  const [, , , container, line] = COMMAND.exec(text) ?? [];
  return line === undefined
    ? undefined
    : { line: line.trim(), isInContainer: container !== undefined };
}

function commentsOf(text: string): string[] {
  return [...text.matchAll(/^ *# *(.*)$/gm)].map(([, comment = '']) => comment);
}

/** Blocks of a prompt with a command, and lines of its output. */
function readShown(text: string): DocumentedCommand[] {
  const shown: DocumentedCommand[] = [];
  for (const [, block = ''] of text.matchAll(/^```\w*\n([^]*?)^```$/gm)) {
    let last: DocumentedCommand | undefined;
    for (const text of block.split('\n')) {
      const command = commandOf(text);
      if (command !== undefined) {
        shown.push((last = { place: NATS_CLI_PAGE, ...command, output: [] }));
      } else if (last !== undefined && text.trim() !== '') last.output.push(text);
    }
  }
  return shown;
}

/** Stands for lines that are not shown. */
const OMISSION = '…';

/**
 * The first documented line that the output lacks, in whatever order. Lines are compared by their words: numbers,
 * times, sizes, ids, who leads and the borders of tables differ.
 */
export function findMissingLine(documented: string[], output: string): string | undefined {
  const shapes = new Set(output.split('\n').map(shapeOf));
  return documented.find((line) => line.trim() !== OMISSION && !shapes.has(shapeOf(line)));
}

const UNIT = '(?:ns|µs|ms|s|m|h|d|B|KiB|MiB|GiB|%)';
const VALUES = [
  /\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/g,
  // Ids: of servers, instances, inboxes.
  /\b(?=\w*\d)(?=\w*[A-Za-z])\w{22,}\b/g,
  /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?/g,
  new RegExp(`\\b[\\d.,]+(?: ?${UNIT}[\\d.]*)*(?![A-Za-z])`, 'g'),
];

function shapeOf(line: string): string {
  const plain = line.replaceAll(/[\u2500-\u257f]+/g, ' ').replaceAll(/(?<=nats-\d)\*/g, '');
  const shape = VALUES.reduce((text, value) => text.replaceAll(value, ''), plain);
  return shape.replaceAll(/\s+/g, ' ').trim();
}
