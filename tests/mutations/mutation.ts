import type { Edit } from './copy-edited.ts';

/** A mistake that somebody could make, and the tests that must notice it. */
export interface Mutation extends Edit {
  /** What holds until the mistake is made. */
  promise: string;
  /** The beginning of the row of docs/guarantees.md that it breaks, if there is one. */
  guarantee?: string;
  /** More edits of the same mistake. */
  also?: Edit[];
  /** Test files of which one must fail by an assertion, the quickest first. */
  tests: string[];
}

export function editsOf({ file, find, replacement, also = [] }: Mutation): Edit[] {
  return [{ file, find, replacement }, ...also];
}
