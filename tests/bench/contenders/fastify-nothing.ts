import { serve } from './front.ts';

/** The ceiling: checks the increment, stores nothing. */
const id = '019a0000-0000-7000-8000-000000000000';
let sequence = 0;

await serve(() => ({ accepted: 1, id, sequence: ++sequence }));
