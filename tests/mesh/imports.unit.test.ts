import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import t from 'tap';
import { ROOT } from './deploy/compose-file.ts';

/** Which folders of mesh/ each may import from. */
const MAY_IMPORT: Record<string, string[]> = {
  files: [],
  deploy: ['files'],
  servers: ['files'],
  local: ['files', 'servers'],
  cli: ['files', 'servers', 'local'],
};

void t.test('imports inside mesh/ point one way', (t) => {
  const files = readdirSync(join(ROOT, 'mesh'), { recursive: true, encoding: 'utf8' });
  const wrong = files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const [folder = ''] = file.split(sep);
      const text = readFileSync(join(ROOT, 'mesh', file), 'utf8');
      return [...text.matchAll(/(?:from|import) '(\.[^']+)'/g)]
        .map(([, path = '']) => join(dirname(file), path))
        .filter((path) => !path.startsWith('..'))
        .filter((path) => ![folder, ...MAY_IMPORT[folder]!].includes(path.split(sep)[0]!))
        .map((path) => `${file} → ${path}`);
    });
  t.strictSame(wrong, []);
  t.end();
});
