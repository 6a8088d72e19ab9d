import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { NODE_ENVIRONMENT } from '../mesh/local/services.ts';

/**
 * Runs the tests with tap and prints a closing line that people and CI read alike: `12 passed, 0
 * failed`. Arguments go to tap: `npm test -- tests/gateway/increment.test.ts`.
 */
// tap builds itself for the plugins of .taprc, but the run that finds it not yet built goes without.
if (!existsSync(new URL('../node_modules/@tapjs/test/test-built', import.meta.url))) {
  spawnSync('tap', ['build'], { stdio: 'ignore' });
}

const child = spawn('tap', ['run', '--reporter=tap', ...process.argv.slice(2)], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: { ...NODE_ENVIRONMENT, ...process.env },
});

let totals: string | undefined;
createInterface({ input: child.stdout }).on('line', (line) => {
  // A test that passes is of interest by its name, its single assertions are not.
  if (!/^ {4,}ok |^ *1\.\.\d+$|^ {4,}$/.test(line)) process.stdout.write(`${line}\n`);
  totals = /^# (\{ total: .*\})$/.exec(line)?.[1] ?? totals;
});

child.on('close', (code) => {
  const count = (name: string) =>
    Number(new RegExp(`${name}: (\\d+)`).exec(totals ?? '')?.[1] ?? 0);
  const passed = count('pass');
  const failed = totals === undefined ? 1 : count('fail');
  const skipped = count('skip') + count('todo');
  const rest = skipped > 0 ? `, ${skipped} skipped` : '';
  process.stdout.write(`\n${passed} passed, ${failed} failed${rest}\n`);
  process.exitCode = code === 0 && failed === 0 && passed > 0 ? 0 : 1;
});
