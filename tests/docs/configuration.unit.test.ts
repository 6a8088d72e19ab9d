import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { TObject } from 'typebox';
import { CounterConfig } from '../../counter/config.ts';
import { GatewayConfig } from '../../gateway/config.ts';
import { ProvisionConfig, SecretsConfig } from '../../mesh/deploy/config.ts';
import { MeshSettings } from '../../mesh/local/config.ts';
import { TelemetrySettings } from '../../telemetry/settings.ts';
import { permissionsOf } from '../../nats/permissions.ts';
import { PROBLEMS } from '../../schema/http/problem.ts';
import { blockOf, codeOf, readPages, readText, replaceBlock, ROOT } from './pages.ts';

const CONFIGURATION = 'docs/configuration.md';
const HTTP_API = 'docs/http-api.md';
const OTHER_NATS = 'docs/other-nats.md';
const SCHEMAS: Record<string, TObject> = {
  gateway: GatewayConfig,
  counter: CounterConfig,
  mesh: MeshSettings,
  provision: ProvisionConfig,
  telemetry: TelemetrySettings,
};
/** What other programs read, and what is no setting at all. */
const OTHER_NAMES = [
  'XDG_CONFIG_HOME',
  'CHROMIUM_BIN',
  'UPDATE_DOCS',
  'NODE_OPTIONS',
  'POWER_CUTS',
  'INCREMENTS_DEAD',
  'OTEL_LOGS_EXPORTER',
  'STAGING_DEAD',
];
/** Variables that a block sets for itself. */
const SHELL_VARIABLES = ['URL', 'KEY', 'BROKER', 'PASSWORD', 'PGSERVICEFILE'];

/** They are made from the code: `UPDATE_DOCS=1 npm test -- tests/docs/configuration.unit.test.ts`. */
void t.test('the tables of settings and of errors are those of the code', (t) => {
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    compare(t, CONFIGURATION, name, tableOfSettings(schema));
  }
  compare(t, HTTP_API, 'problems', tableOfProblems());
  t.end();
});

void t.test('the permissions of each role are those that its service uses', (t) => {
  for (const role of ['gateway', 'counter', 'provisioner', 'inspector'] as const) {
    const { publish, subscribe } = permissionsOf(role);
    const lists = ['publish', ...publish.map(indent), 'subscribe', ...subscribe.map(indent)];
    compare(t, OTHER_NATS, `${role}-permissions`, ['```text', ...lists, '```'].join('\n'));
  }
  t.end();
});

void t.test('the settings of the README have their defaults', (t) => {
  const rows = [...readText('README.md').matchAll(/^\| `([A-Z_]+)` \| *(\S*) *\|/gm)];
  t.equal(rows.length, 5);
  for (const [, name = '', stated] of rows) {
    const property =
      GatewayConfig.properties[name as 'HOST'] ?? CounterConfig.properties[name as 'LOG_LEVEL'];
    const { default: fallback = '' } = property as { default?: string | number };
    t.equal(stated, String(fallback), name);
  }
  t.end();
});

void t.test('every setting that a page names is one that something reads', (t) => {
  const known = new Set([...knownSettings(), ...OTHER_NAMES]);
  for (const { path, text } of readPages()) {
    for (const code of codeOf(text)) {
      const named = code.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? [];
      for (const name of named) t.ok(known.has(name), `${path}: ${name}`);
      for (const [, name = ''] of code.matchAll(/(?:^|\s)([A-Z]{2,})=/g)) {
        t.ok(known.has(name) || SHELL_VARIABLES.includes(name), `${path}: ${name}=`);
      }
    }
  }
  t.end();
});

function indent(line: string): string {
  return `  ${line}`;
}

/** Compares a table with what stands between its markers, or writes it there. */
function compare(t: Test, path: string, name: string, table: string): void {
  const text = readText(path);
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(join(ROOT, path), replaceBlock(text, name, table));
  } else t.equal(blockOf(text, name), table, `${path}: ${name}`);
}

function tableOfSettings(schema: TObject): string {
  const rows = Object.entries(schema.properties).map(([name, property]) => {
    const { default: fallback, description = '' } = property as {
      default?: string | number;
      description?: string;
    };
    const isRequired = fallback === undefined && schema.required?.includes(name);
    const value = isRequired ? 'required' : (fallback ?? '');
    return `| \`${name}\` | ${value} | ${allowedOf(property)} | ${description} |`;
  });
  return ['| variable | default | allowed | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function allowedOf(property: object): string {
  const {
    minimum,
    maximum,
    enum: choices,
  } = property as {
    minimum?: number;
    maximum?: number;
    enum?: unknown[];
  };
  if (choices !== undefined) return choices.join(' or ');
  if (minimum === undefined || maximum === undefined) return '';
  return maximum === minimum + 1 ? `${minimum} or ${maximum}` : `${minimum} to ${maximum}`;
}

function tableOfProblems(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, { status, meaning }]) => `| \`${code}\` | ${status} | ${meaning} |`,
  );
  return ['| code | status | meaning |', '|---|---|---|', ...rows].join('\n');
}

/** Of the schemas, of compose.yaml and of the brokers' files. */
function knownSettings(): string[] {
  const schemas = [...Object.values(SCHEMAS), SecretsConfig];
  const compose = readText('compose.yaml').matchAll(/\$\{([A-Z_]+)/g);
  const brokers = ['server', 'cluster', 'cluster-tls', 'roles'].flatMap((name) => [
    ...readText(`nats/${name}.conf`).matchAll(/\$([A-Z_]+)/g),
  ]);
  return [
    ...schemas.flatMap((schema) => Object.keys(schema.properties)),
    ...[...compose, ...brokers].map(([, name = '']) => name),
  ];
}
