import type { ParseArgsOptionsConfig } from 'node:util';
import type { MeshServers } from './mesh-servers.ts';

/** What a script can tell apart. */
export const EXIT = {
  fine: 0,
  /** The answer is bad: unbalanced, unhealthy, no such dead letter, a refused repair. */
  bad: 1,
  usage: 2,
  /** There is no answer: a server can't be reached, or refuses. */
  noAnswer: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** One command of `npm run mesh -- …`. */
export interface Command {
  /** As it is typed: `audit`, `dead-letters show`. */
  name: string;
  /** What follows the name, as help shows it. */
  synopsis: string;
  /** One line for the overview. */
  summary: string;
  /** What it does, what it promises, and examples; shown below the synopsis. */
  help: string;
  /** Its own options; those that every command has are in options.ts. */
  options?: ParseArgsOptionsConfig;
  /** How many words may follow the name. */
  words?: { min: number; max: number };
  run: (context: CommandContext) => Promise<ExitCode>;
}

/** Where a command runs. */
export interface Terminal {
  environment: NodeJS.ProcessEnv;
  write: (output: string) => void;
  /** For what is not the answer. */
  complain: (output: string) => void;
  /** All of the standard input. */
  readInput: () => Promise<string>;
  /** Absent where nobody is there to answer. */
  ask?: (question: string) => Promise<string>;
}

export interface CommandContext {
  words: string[];
  /** Options by name, as they were given. */
  options: Record<string, string | boolean | undefined>;
  servers: MeshServers;
  terminal: Terminal;
  /** Prints the answer: as JSON with `--json`, else as the text for people. */
  print: (answer: unknown, text: () => string) => void;
}
