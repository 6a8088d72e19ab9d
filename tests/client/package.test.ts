import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { makeKeys } from '../support/counters.ts';
import { makeFolder } from '../support/folders.ts';
import { shareMesh } from '../support/shared-mesh.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What a user of the package writes: all of it, once. */
const PROGRAM = `
import { createBuffer, createClient, IncrementMeshError, INT64_MAX } from 'increment-mesh-client';

const [url = '', key = '', other = ''] = process.argv.slice(2);
const client = createClient({ url });
await client.increment(key, 5);
const { accepted } = await client.incrementMany([{ key, value: 7n }, { key: other, value: INT64_MAX }]);
const buffer = createBuffer(client);
for (let count = 0; count < 1_000; count++) buffer.add(key, 1);
buffer.add(other, INT64_MAX);
await buffer.close();
const refused: unknown = await client.increment('no key', 1).catch((error: unknown) => error);
const code = refused instanceof IncrementMeshError ? refused.code : undefined;
const { sequence } = await client.increment(other, 1);
const { value } = await client.read(key, { atLeast: sequence, waitSeconds: 20 });
if (value !== 1_012n) throw new Error(String(value));
const values = (await client.readMany([other, key])).map(({ value }) => String(value));
console.log(JSON.stringify({ accepted, code, values, node: process.versions.node.split('.')[0] }));
`;

void t.test('the packed client has its types and counts', async (t) => {
  const mesh = shareMesh();
  const folder = makeFolder(t);
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: join(ROOT, 'client'),
  });
  const tarball = stdout.trim().split('\n').at(-1) ?? '';
  writeFileSync(join(folder, 'package.json'), '{"type":"module","private":true}');
  const options = ['--offline', '--no-audit', '--no-fund'];
  await run('npm', ['install', ...options, `./${tarball}`], { cwd: folder });

  const installed = join(folder, 'node_modules', 'increment-mesh-client');
  t.strictSame(readdirSync(installed).toSorted(), ['LICENSE', 'README.md', 'dist', 'package.json']);
  t.strictSame(readdirSync(join(folder, 'node_modules')).filter(isVisible), [
    'increment-mesh-client',
  ]);

  writeFileSync(join(folder, 'program.ts'), PROGRAM);
  await compile(folder);
  t.ok(existsSync(join(folder, 'program.js')), 'the types are there, and right');

  const { gateway } = await mesh;
  const older = await findOlderNode();
  const skip =
    older === undefined && 'no Node 20 or 22: put one on the PATH, or set OLDER_NODE_BIN';
  await t.test('on this Node', (t) => count(t, process.execPath));
  await t.test('on an older Node', { skip }, (t) => count(t, older ?? ''));

  async function count(t: Test, node: string): Promise<void> {
    const keys = makeKeys(2);
    const { stdout } = await run(node, ['program.js', gateway.url, ...keys], { cwd: folder });
    const { node: major, ...said } = JSON.parse(stdout) as { node: string };
    t.strictSame(
      said,
      { accepted: 2, code: 'invalid-argument', values: [String(2n ** 64n - 1n), '1012'] },
      `Node ${major}`,
    );
  }
});

void t.test(
  'the client has the version and the license of the project, and needs no package',
  (t) => {
    const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
    const ours = JSON.parse(read('package.json')) as { version: string };
    const packed = JSON.parse(read('client/package.json')) as Record<string, unknown>;
    t.equal(packed['version'], ours.version);
    t.equal(read('client/LICENSE'), read('LICENSE'));
    t.notOk('dependencies' in packed);
    t.end();
  },
);

/** As a strict project does that has no types but those of the web. */
async function compile(folder: string): Promise<void> {
  const settings = {
    compilerOptions: {
      strict: true,
      exactOptionalPropertyTypes: true,
      module: 'nodenext',
      target: 'es2022',
      lib: ['es2022', 'dom'],
      skipDefaultLibCheck: true,
      types: [],
    },
    files: ['program.ts', 'node.d.ts'],
  };
  writeFileSync(
    join(folder, 'node.d.ts'),
    'declare const process: { argv: string[]; versions: { node: string } };',
  );
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  await run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', folder]).catch((error: unknown) => {
    const { stdout } = error as { stdout: string };
    throw new Error(`the program does not compile: ${stdout}`, { cause: error });
  });
}

/** A Node from 20 on that is older than this one: OLDER_NODE_BIN, or one on the PATH. */
async function findOlderNode(): Promise<string | undefined> {
  const given = process.env['OLDER_NODE_BIN'];
  if (given !== undefined) return given;
  const ours = Number(process.versions.node.split('.')[0]);
  for (const path of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(path, 'node');
    if (!existsSync(node)) continue;
    const { stdout } = await run(node, ['-p', 'process.versions.node']).catch(() => ({
      stdout: '',
    }));
    const major = Number.parseInt(stdout);
    if (major >= 20 && major < ours) return node;
  }
  return undefined;
}

function isVisible(name: string): boolean {
  return !name.startsWith('.');
}
