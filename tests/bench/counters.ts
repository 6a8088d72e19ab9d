import { compareVariants } from './harness/variants.ts';

/** How cost grows with counters that share the consumer and the rows. */
export const counters = compareVariants('the mesh with 1 to 8 counters', [
  { name: '1', about: 'one counter', counters: 1 },
  { name: '2', about: 'two counters', counters: 2 },
  { name: '4', about: 'four counters', counters: 4 },
  { name: '8', about: 'eight counters', counters: 8 },
]);
