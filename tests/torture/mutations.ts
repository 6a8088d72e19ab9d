import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** What gateways and counters are made of. */
const CODE = ['counter', 'gateway', 'nats', 'schema', 'telemetry', 'package.json'];

/** A mistake that somebody could make in the code, and that the torture must find. */
export interface Mutation {
  name: string;
  file: string;
  /** What is replaced and by what; each text is there exactly once, in that file or in another one. */
  edits: { find: string; replacement: string; file?: string }[];
}

export const MUTATIONS: Mutation[] = [
  {
    name: 'acknowledges before it commits',
    file: 'counter/flush/flush-loop.ts',
    edits: [
      {
        find: 'const batch = buffer.startFlush();',
        replacement: `const batch = buffer.startFlush();
          for (const { reply } of batch.messages.values()) options.send(reply, '+ACK');`,
      },
    ],
  },
  {
    name: 'counts what the ledger knows',
    file: 'counter/flush/classify.ts',
    edits: [
      { find: 'firsts.filter(({ id }) => !knownIds.has(id));', replacement: 'firsts;' },
      {
        find: '[...repeats, ...firsts.filter(({ id }) => knownIds.has(id))];',
        replacement: 'repeats;',
      },
    ],
  },
  {
    name: 'prunes the ledger by the wall clock',
    file: 'counter/maintenance/prune.ts',
    edits: [
      {
        find: 'new Date(stream.unsettledSinceMs - LEDGER_KEPT_MS)',
        replacement: 'new Date(Date.now() - LEDGER_KEPT_MS)',
      },
    ],
  },
  {
    name: 'prunes idempotency keys by the wall clock',
    file: 'counter/maintenance/prune.ts',
    edits: [
      {
        find: 'new Date(stream.unsettledSinceMs - options.idempotencyKeptMs)',
        replacement: 'new Date(Date.now() - options.idempotencyKeptMs)',
      },
    ],
  },
];

/**
 * Copies the code of the services and makes the mistake in the copy.
 *
 * @throws Error where the text that is to be edited is not there: then the code has moved on, and
 * the mutation must follow it.
 */
export function copyMutated({ name, file, edits }: Mutation): { root: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'increment-mesh-mutation-'));
  const remove = () => rmSync(root, { recursive: true, force: true });
  for (const path of CODE) cpSync(join(PROJECT, path), join(root, path), { recursive: true });
  symlinkSync(join(PROJECT, 'node_modules'), join(root, 'node_modules'));
  for (const { find, replacement, file: edited = file } of edits) {
    const parts = readFileSync(join(root, edited), 'utf8').split(find);
    if (parts.length !== 2) {
      remove();
      const times = parts.length - 1;
      throw new Error(`"${name}" edits a text that ${edited} has ${times} times: ${find}`);
    }
    writeFileSync(join(root, edited), parts.join(replacement));
  }
  return { root, remove };
}
