import { parseArgs } from 'node:util';
import { report } from './report.ts';
import { tortureSupervisor } from './supervisor.ts';
import { torture } from './torture.ts';

// The process of `npm run torture -- --seed N --minutes M --nats 3 --readers 40`.

/** How often the supervisor is killed, after the rest. */
const SUPERVISOR_ROUNDS_PER_MINUTE = 1;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '3' },
    nats: { type: 'string', default: '1' },
    readers: { type: 'string', default: '4' },
  },
});
const seed = Number(values.seed);
const minutes = Number(values.minutes);
if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
  console.error('--seed takes a whole number and --minutes a number above 0');
  process.exit(2);
}

const natsNodes = Number(values.nats);
if (natsNodes !== 1 && natsNodes !== 3) {
  console.error('--nats takes 1 or 3, the number of nats-servers');
  process.exit(2);
}

const readers = Number(values.readers);
if (!(Number.isSafeInteger(readers) && readers >= 0)) {
  console.error('--readers takes a whole number');
  process.exit(2);
}

console.log(`torture with seed ${seed} for ${minutes} minute(s) …`);
const verdict = await torture({ seed, durationMs: minutes * 60_000, natsNodes, readers });
console.log(report(verdict));

const rounds = Math.max(1, Math.round(minutes * SUPERVISOR_ROUNDS_PER_MINUTE));
console.log(`\ntorture of the supervisor with seed ${seed}, ${rounds} round(s) …`);
const supervised = await tortureSupervisor({ seed, rounds });
console.log(report(supervised));

const problems = verdict.problems.length + supervised.problems.length;
console.log(`\n${problems === 0 ? 'passed' : 'FAILED'}: seed ${seed}`);
process.exit(problems === 0 ? 0 : 1);
