import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../compose/compose-file.ts';
import { readAlerts, readPanels, readSignals } from './queries.ts';

/** What a scrape itself tells, and what is no metric in a query. */
const OTHER_NAMES = new Set(['up', 'e']);

await t.test('every metric of a query is one that a service or a rule makes', (t) => {
  const code = ['gateway/metrics.ts', 'counter/metrics.ts']
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n');
  const signals = new Set(readSignals().map(({ place }) => place));
  for (const { place, expression } of [...readPanels(), ...readSignals(), ...readAlerts()]) {
    for (const name of metricNames(expression)) {
      const instrument = name.replace(/_(total|bucket|sum|count)$/, '');
      const isMade = signals.has(name) || OTHER_NAMES.has(name) || code.includes(`'${instrument}'`);
      t.ok(isMade, `${place}: ${name}`);
    }
  }
  t.end();
});

await t.test('every alert says how urgent it is and where to read on', (t) => {
  for (const { name, labels, annotations } of readAlerts()) {
    t.match(labels['severity'], /^(page|ticket)$/, `${name}: page or ticket`);
    t.ok(annotations['summary'], `${name}: a summary`);
    t.equal(annotations['runbook'], `README.md#${name.toLowerCase()}`, `${name}: its section`);
  }
  t.end();
});

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
