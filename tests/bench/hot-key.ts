import { compareVariants } from './harness/variants.ts';

/** Whether it matters which keys are asked for: a tally makes one row of a thousand increments. */
export const hotKey = compareVariants('the mesh with requests spread over keys in three ways', [
  { name: 'uniform', about: 'every key as often as the others', load: { spread: 'uniform' } },
  { name: 'zipf', about: 'the k-th key 1/k as often as the first', load: { spread: 'zipf' } },
  { name: 'hot', about: 'one key takes all', load: { spread: 'hot' } },
]);
