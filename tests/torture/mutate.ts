import { parseArgs } from 'node:util';
import { copyEdited } from '../mutations/copy-edited.ts';
import { editsOf } from '../mutations/mutation.ts';
import { TORTURE_MUTATIONS } from '../mutations/torture-mutations.ts';
import { report } from './report.ts';
import { torture } from './torture.ts';

// Shows that the torture can fail: runs it against each mutation of the code, which it must catch.

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '1' },
    nats: { type: 'string', default: '1' },
    /** Only mutations whose promise has this. */
    only: { type: 'string', default: '' },
  },
});
const durationMs = Number(values.minutes) * 60_000;

let escaped = 0;
for (const mutation of TORTURE_MUTATIONS.filter(({ promise }) => promise.includes(values.only))) {
  const { root, remove } = copyEdited(editsOf(mutation));
  try {
    const [seed, natsNodes] = [Number(values.seed), Number(values.nats)];
    const verdict = await torture({ seed, durationMs, root, natsNodes });
    // A wrong count is what it must be caught by, not anything that happens to go wrong beside it.
    const isCaught = verdict.wrongCounts > 0;
    if (!isCaught) escaped++;
    console.log(`${isCaught ? 'caught' : 'NOT CAUGHT'}: ${mutation.promise}`);
    const found = Map.groupBy(verdict.wrong, ({ what }) => what);
    for (const [what, each] of found) console.log(`  ${each.length} times: ${what}`);
    if (!isCaught) console.log(report(verdict));
  } finally {
    remove();
  }
}
process.exitCode = escaped === 0 ? 0 : 1;
