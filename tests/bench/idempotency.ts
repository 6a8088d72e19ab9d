import { compareVariants } from './harness/variants.ts';

/** Each key is a row in the database and keeps its message's body in the counter. */
export const idempotency = compareVariants('the mesh with an Idempotency-Key on every request', [
  { name: 'without', about: 'no Idempotency-Key' },
  { name: 'with', about: 'one on every request, all different', load: { once: true } },
]);
