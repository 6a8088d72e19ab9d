import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { readAlerts, readPanels, readSignals } from './queries.ts';

/** What a scrape itself tells, and what is no metric in a query. */
const OTHER_NAMES = new Set(['up', 'e']);

await t.test('every metric of a query is one that a service or a rule makes', (t) => {
  const instruments = readInstruments();
  const signals = new Set(readSignals().map(({ place }) => place));
  for (const { place, expression } of [...readPanels(), ...readSignals(), ...readAlerts()]) {
    for (const name of metricNames(expression)) {
      const isMade = signals.has(name) || OTHER_NAMES.has(name) || instruments.has(bareName(name));
      t.ok(isMade, `${place}: ${name}`);
    }
  }
  t.end();
});

await t.test('no panel shows 0 where nothing is known, or goes by how metrics came', (t) => {
  for (const { place, expression } of readPanels()) {
    t.notMatch(expression, /vector\(|(?<!:)\bup\b|job=/, place);
  }
  t.end();
});

/** Whatever is quoted where instruments are made, in the form that Prometheus has of it. */
function readInstruments(): Set<string> {
  const files = ['gateway/telemetry', 'counter/telemetry', 'telemetry'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(ROOT, folder, file), 'utf8')),
  );
  const quoted = files.flatMap((text) => text.match(/(?<=')[a-z][\w.]+(?=')/g) ?? []);
  return new Set(quoted.map((name) => bareName(name.replaceAll('.', '_'))));
}

/** Without what a kind of metric and a unit add. */
function bareName(name: string): string {
  return name.replace(/_(total|bucket|sum|count)$/, '').replace(/_(seconds|bytes|ratio)$/, '');
}

/** Names with an underscore or a colon that are neither a function nor a label. */
function metricNames(expression: string): string[] {
  const bare = expression
    .replaceAll(/\b(by|on|without|ignoring)\s*\([^)]*\)/g, '')
    .replaceAll(/\{__name__=~"([^"]+)"\}/g, (_whole, names: string) => names.replaceAll('|', ' '))
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '');
  const names = bare.match(/[a-z][a-z0-9]*(?:[_:][a-z0-9_:]+)?(?!\w*\s*\()/g) ?? [];
  return names.filter((name) => /[_:]/.test(name) || name === 'up');
}
