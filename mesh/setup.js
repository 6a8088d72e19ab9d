// Plain JavaScript that old Nodes understand: this runs before the project's own Node is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const project = process.argv[2] || fileURLToPath(new URL('..', import.meta.url));
const path = join(project, 'node_modules', '.bin') + delimiter + process.env.PATH;

if (!isInstalled()) install();
checkNode();

/**
 * Compares package-lock.json with what npm noted after its last complete install. By content, not by
 * time: a checkout or a copy changes times, and a needless `npm ci` would remove the packages of a mesh
 * that is running.
 */
function isInstalled() {
  const written = join(project, 'node_modules', '.package-lock.json');
  if (!existsSync(written)) return false;
  const installed = JSON.parse(readFileSync(written, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')).packages;
  return Object.keys(locked).every(function matches(name) {
    const found = installed[name];
    if (name === '') return true;
    // Optional packages are absent where they are meant for another platform.
    if (!found) return Boolean(locked[name].optional || locked[name].devOptional || omitted(name));
    return found.version === locked[name].version && found.integrity === locked[name].integrity;
  });

  function omitted(name) {
    return locked[name].dev && process.env.NODE_ENV === 'production';
  }
}

function install() {
  console.error('Installing the packages of package-lock.json (once) …');
  // The npm that called us, on the Node that runs it: the one in node_modules is about to be replaced.
  const npm = process.env.npm_execpath;
  const node = process.env.npm_node_execpath || process.execPath;
  const command = npm ? [node, npm] : ['npm'];
  const args = command.slice(1).concat('ci', '--loglevel=error', '--no-audit', '--no-fund');
  const result = spawnSync(command[0], args, { cwd: project, stdio: ['ignore', 2, 2] });
  if (result.status === 0) return;
  fail(
    `"npm ci" failed${result.error ? ` (${result.error.message})` : ''}: see above, then try again.`,
  );
}

function checkNode() {
  const found = spawnSync('node', ['--version'], {
    env: Object.assign({}, process.env, { PATH: path }),
    encoding: 'utf8',
  });
  const version = (found.stdout || '').trim();
  if (parseInt(version.slice(1), 10) >= NODE_MAJOR_MIN) return;
  fail(
    `increment-mesh needs Node ${NODE_MAJOR_MIN} or later, and "node" is ${version || 'not usable'} here.\n` +
      `On Linux (x64 and arm64, glibc) the project brings its own; elsewhere, or after an install\n` +
      `with --omit=optional, install Node ${NODE_MAJOR_MIN} first: https://nodejs.org`,
  );
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
