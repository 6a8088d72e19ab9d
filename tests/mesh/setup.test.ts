import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';

const SETUP = fileURLToPath(new URL('../../mesh/setup.js', import.meta.url));

const LOCKED = {
  packages: {
    '': { name: 'project' },
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/for-another-platform': { version: '1.0.0', optional: true },
  },
};
const INSTALLED = { packages: { 'node_modules/a': LOCKED.packages['node_modules/a'] } };

/** Runs the set-up on a project whose npm only notes how it was called. */
function setUp(t: Test, installed: object | undefined, nodeVersion = 'v24.0.0') {
  const project = t.testdir({
    'package-lock.json': JSON.stringify(LOCKED),
    'npm.cjs': `require('node:fs').writeFileSync('called', process.argv.slice(2).join(' '))`,
    node_modules: {
      ...(installed ? { '.package-lock.json': JSON.stringify(installed) } : {}),
      '.bin': {},
    },
  });
  const node = join(project, 'node_modules', '.bin', 'node');
  writeFileSync(node, `#!/bin/sh\necho ${nodeVersion}\n`);
  chmodSync(node, 0o755);
  const { status, stderr } = spawnSync(process.execPath, [SETUP, project], {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      npm_execpath: join(project, 'npm.cjs'),
      npm_node_execpath: process.execPath,
    },
  });
  const called = join(project, 'called');
  return { status, stderr, npm: existsSync(called) ? readFileSync(called, 'utf8') : undefined };
}

await t.test('set-up does nothing where what is locked is installed', async (t) => {
  t.strictSame(setUp(t, INSTALLED), { status: 0, stderr: '', npm: undefined });
});

await t.test('set-up installs on a fresh clone', async (t) => {
  t.match(setUp(t, undefined), { status: 0, npm: /^ci --loglevel=error/ });
});

await t.test('set-up installs where the lock file moved on', async (t) => {
  const older = { packages: { 'node_modules/a': { version: '0.9.0', integrity: 'sha512-old' } } };
  t.match(setUp(t, older), { status: 0, npm: /^ci / });
});

await t.test('set-up says which Node is needed where the one that will run is older', async (t) => {
  t.match(setUp(t, INSTALLED, 'v20.20.2'), {
    status: 1,
    stderr: /needs Node 24 or later, and "node" is v20\.20\.2 here/,
  });
});
