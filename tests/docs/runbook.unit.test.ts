import t from 'tap';
import { readAlerts } from '../telemetry/queries.ts';
import { headingsOf, readText } from './pages.ts';

const runbook = readText('docs/runbook.md');

void t.test('every alert links to its section of the runbook, which says what to do', (t) => {
  for (const { name, annotations } of readAlerts()) {
    t.equal(annotations['runbook'], `docs/runbook.md#${name.toLowerCase()}`, name);
    const section = runbook.split(/^## /m).find((text) => text.startsWith(`${name}\n`)) ?? '';
    for (const part of ['Means', 'Look', 'Do']) {
      t.match(section, new RegExp(`\\*\\*(Look and )?${part}`, 'i'), `${name} says: ${part}`);
    }
  }
  t.end();
});

void t.test('the runbook has no section for an alert that is gone', (t) => {
  const alerts = readAlerts().map(({ name }) => name);
  t.strictSame(headingsOf(runbook).slice(1).toSorted(), alerts.toSorted());
  t.end();
});
