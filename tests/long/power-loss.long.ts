import t, { type Test } from 'tap';
import { whyNoLoopDisk } from '../support/loop-disk.ts';
import { SEED } from '../support/seed.ts';
import { cutPower, describeCut, summarize, type PowerLossOptions } from '../torture/power-loss.ts';

/** `POWER_CUTS=10 npm test -- --timeout=900 tests/long/power-loss.long.ts` */
const CUTS = Number(process.env['POWER_CUTS'] ?? 2);
const why = whyNoLoopDisk();
const skip = why === undefined ? false : `no disk whose power can be cut: ${why}`;

void t.test('every 200 survives a power cut and is counted once', { skip }, (t) =>
  checkCuts(t, { seed: SEED, cuts: CUTS }),
);

void t.test('a power cut soon after the first start loses nothing either', { skip }, (t) =>
  checkCuts(t, { seed: SEED, cuts: 1, isSoonAfterStart: true }),
);

async function checkCuts(t: Test, options: PowerLossOptions): Promise<void> {
  for await (const cut of cutPower(options)) {
    t.comment(describeCut(cut));
    t.strictSame(summarize(cut.verdict.problems), [], `seed ${SEED}, cut ${cut.number}`);
    // What is wrong stays wrong.
    if (!t.passing()) break;
  }
}
