import type { Test } from 'tap';
import { copyEdited } from '../mutations/copy-edited.ts';

/**
 * The next version of gateways and counter services, whose envelopes have version 2: a copy of the code,
 * changed in one file. What it writes, this version does not understand; it understands both.
 */
export function copyNextVersion(t: Test): string {
  const file = 'schema/message/envelope.ts';
  const { root, remove } = copyEdited([
    { file, find: 'ENVELOPE_VERSION = 1;', replacement: 'ENVELOPE_VERSION = 2;' },
    {
      file,
      find: 'version !== ENVELOPE_VERSION',
      replacement: 'version !== 1 && version !== 2',
    },
  ]);
  t.teardown(remove);
  return root;
}
