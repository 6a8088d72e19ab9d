import { parseArgs } from 'node:util';
import { report } from './report.ts';
import { torture } from './torture.ts';

// The process of `npm run torture -- --seed N --minutes M`.

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '3' },
  },
});
const seed = Number(values.seed);
const minutes = Number(values.minutes);
if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
  console.error('--seed takes a whole number and --minutes a number above 0');
  process.exit(2);
}

console.log(`torture with seed ${seed} for ${minutes} minute(s) …`);
const verdict = await torture({ seed, durationMs: minutes * 60_000 });
console.log(report(verdict));
process.exit(verdict.problems.length === 0 ? 0 : 1);
