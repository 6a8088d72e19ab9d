/*
 * A new command of `npm run mesh -- …` is a file here that exports a `Command` (`version.ts` is the
 * shortest), and a line in the list in `commands.ts`. It gets `--help`, `--json`, its place in the
 * overview and the exit codes by that. What goes wrong is thrown: see `errors.ts`.
 */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { MeshServers } from './mesh-servers.ts';

export const EXIT = {
  fine: 0,
  /** The answer is bad: unbalanced, unhealthy, no such dead letter, a refused repair. */
  bad: 1,
  usage: 2,
  /** There is no answer: a server can't be reached, or refuses. */
  noAnswer: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Command {
  /** As the user types it: `audit`, `dead-letters show`. */
  name: string;
  /** The arguments after the name, for help. */
  synopsis: string;
  /** One line for the overview. */
  summary: string;
  /** What it does and promises, with examples; shown below the synopsis. */
  help: string;
  /** Its own options; those of every command are in options.ts. */
  options?: ParseArgsOptionsConfig;
  /** How many words may follow the name; none by default. */
  words?: { min: number; max: number };
  run: (context: CommandContext) => ExitCode | Promise<ExitCode>;
}

export interface CommandContext {
  words: string[];
  /** By name, as given. */
  options: Record<string, string | boolean | undefined>;
  servers: MeshServers;
  terminal: Terminal;
  /** Prints the answer: as JSON with `--json`, else as text. */
  print: (answer: unknown, text: () => string) => void;
}

export interface Terminal {
  environment: NodeJS.ProcessEnv;
  /** To standard output, which has the answer and nothing else. */
  write: (output: string) => void;
  /** Resolves when the output takes more: for what writes more than fits into memory. */
  drained: () => Promise<void>;
  /** To standard error. */
  writeError: (output: string) => void;
  /** All of standard input. */
  readInput: () => Promise<string>;
  /** The same, as it comes. */
  input: () => AsyncIterable<Buffer>;
  /** Whether standard output is one, whose screen can be cleared. */
  isTerminal?: boolean;
  /** Missing where standard input is not a terminal. */
  ask?: (question: string) => Promise<string>;
}
