import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { longestFirst } from './runner/longest-first.ts';
import { runTestFiles } from './runner/run-test-files.ts';
import { isUnitTest } from './runner/share-processes.ts';

/**
 * Runs test files, the longest first, each with a process of its own and short ones together, and prints a closing line that
 * people and CI read alike: `12 passed, 0 failed`.
 *
 *     npm test                                          all but tests/system, tests/long and tests/programs
 *     npm test -- tests/counter/flush/flush.test.ts     one file, shown as it goes
 *     npm test -- --jobs=1 'tests/nats/*.test.ts'
 *     npm test -- --again=3                             three files that fail may be run once more, alone
 *     SEED=123456 npm test                              what a run drew at random, once more
 *
 * tap's own runner loads module hooks into every process, which is half a second of a core for each
 * file, and has no servers that files share.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** How many processes at once: tests wait as much as they compute. */
    jobs: { type: 'string', default: String(availableParallelism() + 1) },
    /** How many seconds a file may take. */
    timeout: { type: 'string', default: '120' },
    again: { type: 'string', default: '0' },
  },
});

const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
const patterns = positionals.length > 0 ? positionals : ['tests/**/*.test.ts'];
const files = longestFirst(patterns.flatMap(find));
if (!files.every(isUnitTest)) {
  const { describeServers } = await import('./runner/describe-servers.ts');
  console.log(await describeServers());
}
const { passed, failed, skipped, unsteady } = await runTestFiles(files, {
  jobs: Number(values.jobs),
  timeoutS: Number(values.timeout),
  again: Number(values.again),
  signal: ending.signal,
});
for (const file of unsteady) console.log(`UNSTEADY ${file}: failed beside others, passed alone`);
const rest = skipped > 0 ? `, ${skipped} skipped` : '';
process.stdout.write(`\n${passed} passed, ${failed} failed${rest}\n`);
// What is skipped says by name what it lacks; a run of nothing is a mistake.
process.exitCode = failed === 0 && passed + skipped > 0 ? 0 : 1;

function find(pattern: string): string[] {
  const found = globSync(pattern);
  if (found.length === 0) throw new Error(`no test file is named ${pattern}`);
  return found;
}
