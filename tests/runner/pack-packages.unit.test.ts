import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { inheritedEnvironment } from '../support/inherited-environment.ts';
import { packPackages } from './pack-packages.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Prints the packages of which Node loads a module from where it is; no service has yaml. */
const PROGRAM = `
import { registerHooks } from 'node:module';
const found = new Set();
registerHooks({
  load(url, context, next) {
    const name = url.split('/node_modules/')[1];
    if (name !== undefined) found.add(name.split('/')[0]);
    return next(url, context);
  },
});
const { loadServices } = await import('./tests/runner/load-services.ts');
await loadServices();
await import('yaml');
console.log([...found].join());
`;

// A second one beside the packed one would have other classes: no error would be of the first one's.
void t.test('services of tests load each package once, packed', (t) => {
  const args = [packPackages(), '--input-type=module', '--eval', PROGRAM];
  const env = { ...inheritedEnvironment(), NODE_OPTIONS: '' };
  const output = execFileSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' });
  t.equal(output.trim(), 'yaml');
  t.end();
});
