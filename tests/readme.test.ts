import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { TObject } from 'typebox';
import { CounterConfig } from '../counter/config.ts';
import { GatewayConfig } from '../gateway/config.ts';
import { MeshSettings } from '../mesh/local/config.ts';
import { PROBLEMS } from '../schema/http/problem.ts';

const README = fileURLToPath(new URL('../README.md', import.meta.url));
const SCHEMAS: Record<string, TObject> = {
  gateway: GatewayConfig,
  counter: CounterConfig,
  mesh: MeshSettings,
};

/** The tables are made from the schemas: `UPDATE_README=1 npm test -- tests/readme.test.ts`. */
void t.test('the tables of settings are those of the code', (t) => {
  let readme = readFileSync(README, 'utf8');
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    const marker = `<!-- ${name} -->`;
    const table = `${marker}\n\n${tableOf(schema)}\n`;
    const found = new RegExp(`${marker}\\n(?:\\n\\|[^\\n]*(?:\\n\\|[^\\n]*)*\\n)?`).exec(
      readme,
    )?.[0];
    if (process.env['UPDATE_README'] === '1') readme = readme.replace(found ?? marker, table);
    else t.equal(found, table, name);
  }
  if (process.env['UPDATE_README'] === '1') writeFileSync(README, readme);
  t.end();
});

void t.test('every code of an error is in the README', (t) => {
  const readme = readFileSync(README, 'utf8');
  for (const code of Object.keys(PROBLEMS)) t.ok(readme.includes(`\`${code}\``), code);
  t.end();
});

void t.test('every file that the README links to is there', (t) => {
  const links = readFileSync(README, 'utf8').matchAll(/\]\(([^)#:]+)\)/g);
  for (const [, path = ''] of links) {
    t.ok(existsSync(new URL(`../${path}`, import.meta.url)), path);
  }
  t.end();
});

function tableOf(schema: TObject): string {
  const rows = Object.entries(schema.properties).map(([name, property]) => {
    const { default: fallback, description = '' } = property as {
      default?: string | number;
      description?: string;
    };
    const isRequired = fallback === undefined && schema.required?.includes(name);
    return `| \`${name}\` | ${isRequired ? 'required' : (fallback ?? '')} | ${description} |`;
  });
  return ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n');
}
