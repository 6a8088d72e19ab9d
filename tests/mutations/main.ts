import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { isUnitTest } from '../runner/share-processes.ts';
import { copyEdited, PROJECT } from './copy-edited.ts';
import { findFailedAssertion } from './failed-assertion.ts';
import { editsOf, type Mutation } from './mutation.ts';
import { MUTATIONS } from './mutations.ts';

/**
 * Shows that the tests can fail: makes one mistake after another in a copy of the project, and runs the tests
 * that must notice it. Its closing line is `57 caught, 0 not caught`.
 *
 *     npm run test:mutations
 *     npm run test:mutations -- --only=publisher      whose promise, file or test has this text
 *     npm run test:mutations -- --unit                only what unit tests notice: some minutes
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    unit: { type: 'boolean', default: false },
  },
});

const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());

const mutations = MUTATIONS.filter(isWanted);
if (mutations.length === 0) throw new Error(`no mutation has the text ${values.only}`);
const files = [...new Set(mutations.flatMap(({ tests }) => tests))];
console.log(`${mutations.length} mutations; first their ${files.length} test files without any`);
const { code, output } = await runTests(PROJECT, files);
if (ending.signal.aborted) process.exit(1);
if (code !== 0) {
  console.log(output);
  console.log('these tests must pass before they can notice anything');
  process.exit(1);
}

type Outcome = 'caught' | 'NOT CAUGHT' | 'skipped';

const counts: Record<Outcome, number> = { caught: 0, 'NOT CAUGHT': 0, skipped: 0 };
for (const mutation of mutations) {
  const { outcome, detail } = await tryOut(mutation);
  if (ending.signal.aborted) break;
  counts[outcome]++;
  console.log(`${outcome}: ${mutation.promise}\n  ${detail}`);
}
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`\n${counts.caught} caught, ${counts['NOT CAUGHT']} not caught${skipped}`);
process.exitCode = counts['NOT CAUGHT'] === 0 && !ending.signal.aborted ? 0 : 1;

function isWanted({ promise, file, tests }: Mutation): boolean {
  const hasText = [promise, file, ...tests].some((text) => text.includes(values.only));
  return hasText && (!values.unit || tests.every(isUnitTest));
}

/** Runs the mutation's test files until one fails. */
async function tryOut(mutation: Mutation): Promise<{ outcome: Outcome; detail: string }> {
  const { root, remove } = copyEdited(editsOf(mutation));
  const passed: string[] = [];
  try {
    for (const file of mutation.tests) {
      const startedAt = performance.now();
      const { code, output } = await runTests(root, [file]);
      if (ending.signal.aborted) break;
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
      const failed = findFailedAssertion(output);
      if (code !== 0 && failed !== undefined) {
        return { outcome: 'caught', detail: `by ${file} after ${seconds} s: ${failed}` };
      }
      if (/^0 passed, 0 failed, \d+ skipped$/m.test(output)) {
        return { outcome: 'skipped', detail: `this machine can't run ${file}` };
      }
      if (code !== 0) return { outcome: 'NOT CAUGHT', detail: `${file} did not run:\n${output}` };
      passed.push(file);
    }
  } finally {
    remove();
  }
  const { file, find, replacement } = mutation;
  return {
    outcome: 'NOT CAUGHT',
    detail: `${passed.join(', ')} passed though ${file} has ${replacement || 'nothing'} in place of ${find}`,
  };
}

/** Runs test files of a copy; of one alone, up to its first failure. */
async function runTests(
  cwd: string,
  testFiles: string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['tests/run.ts', '--timeout=400', ...testFiles], {
    cwd,
    env: { ...process.env, ...(testFiles.length === 1 && { TAP_BAIL: '1' }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => texts.push(text));
  }
  const end = () => child.kill('SIGTERM');
  ending.signal.addEventListener('abort', end);
  const [code] = (await once(child, 'close')) as [number | null];
  ending.signal.removeEventListener('abort', end);
  return { code, output: texts.join('') };
}
