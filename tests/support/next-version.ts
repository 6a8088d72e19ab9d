import type { Test } from 'tap';
import { copyMutated } from '../torture/mutations.ts';

/**
 * The next version of gateways and counter services, whose envelopes have version 2: a copy of the code,
 * changed in one file. What it writes, this version does not understand; it understands both.
 */
export function copyNextVersion(t: Test): string {
  const { root, remove } = copyMutated({
    name: 'the next version of the envelope',
    file: 'schema/message/envelope.ts',
    edits: [
      { find: 'ENVELOPE_VERSION = 1;', replacement: 'ENVELOPE_VERSION = 2;' },
      { find: 'version !== ENVELOPE_VERSION', replacement: 'version !== 1 && version !== 2' },
    ],
  });
  t.teardown(remove);
  return root;
}
