import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseDocument, YAMLMap, type YAMLSeq } from 'yaml';
import { FINDINGS, runbookOf, type FindingName } from '../../telemetry/diagnosis/findings.ts';
import { PROBLEMS } from '../../schema/http/problem.ts';
import { readAlerts, readSignals } from '../telemetry/queries.ts';
import { headingsOf, readText, ROOT } from './pages.ts';

const ALERTS = join(ROOT, 'telemetry/prometheus/alerts.yaml');
const PARTS = ['Means', 'Look', 'Do', 'Over'];

if (process.env['UPDATE_DOCS'] === '1') writeTexts();
const alerts = readAlerts();
const runbook = readText('docs/runbook.md');

/** `UPDATE_DOCS=1 npm test -- tests/docs/runbook.unit.test.ts` writes them anew. */
void t.test('every finding has an alert, with the texts of the table, word for word', (t) => {
  for (const [name, { level }] of Object.entries(FINDINGS)) {
    const alert = alerts.find((each) => each.name === name);
    t.match(alert?.annotations, textsOf(name as FindingName), name);
    t.equal(alert?.labels['severity'], level === 'bad' ? 'page' : 'ticket', `${name}: urgency`);
  }
  t.end();
});

void t.test('every alert has a summary, what to do, and the address of its section', (t) => {
  for (const { name, labels, annotations } of alerts) {
    t.match(labels['severity'], /^(page|ticket)$/, `${name}: page or ticket`);
    t.match(annotations['summary'], /^[A-Z].*[^.]$/, `${name}: a sentence without its end`);
    t.match(
      annotations['description'],
      /^[A-Z].*\. .*\.$/,
      `${name}: what follows, and what to do`,
    );
    t.equal(
      annotations['runbook_url'],
      `{{ $externalLabels.runbook_base }}${runbookOf(name)}`,
      `${name}: its section`,
    );
  }
  t.equal(new Set(alerts.map(({ name }) => name)).size, alerts.length, 'each name is used once');
  t.end();
});

void t.test(
  'every finding and every alert has a section, which says how to see that it is over',
  (t) => {
    for (const { name } of alerts) {
      const section = runbook.split(/^## /m).find((text) => text.startsWith(`${name}\n`)) ?? '';
      const parts = [...section.matchAll(/^\*\*(\w+)\*\*/gm)].map(([, part]) => part);
      t.strictSame(parts, PARTS, name);
    }
    t.end();
  },
);

void t.test('the runbook has no section for anything else', (t) => {
  const names = new Set([...alerts.map(({ name }) => name), ...Object.keys(FINDINGS)]);
  const sections = headingsOf(runbook).slice(1);
  t.strictSame(
    sections.filter((name) => !['Commands'].includes(name)).toSorted(),
    [...names].toSorted(),
  );
  t.end();
});

void t.test('failed requests are counted by codes that there are', (t) => {
  const { expression = '' } =
    readSignals().find(({ place }) => place === 'mesh:requests_failed:increase1m') ?? {};
  const codes = /reason=~"([^"]+)"/.exec(expression)?.[1]?.split('|') ?? [];
  t.ok(codes.length > 0);
  for (const code of codes) t.ok(code in PROBLEMS, code);
  t.end();
});

function textsOf(name: FindingName): { summary: string; description: string } {
  const { cause, effect, next } = FINDINGS[name];
  return { summary: cause, description: `${effect}. ${next}.` };
}

function writeTexts(): void {
  const document = parseDocument(readFileSync(ALERTS, 'utf8'));
  for (const rule of (document.getIn(['groups', 0, 'rules']) as YAMLSeq<YAMLMap>).items) {
    const name = String(rule.get('alert'));
    if (!(name in FINDINGS)) continue;
    for (const [part, text] of Object.entries(textsOf(name as FindingName))) {
      rule.setIn(['annotations', part], document.createNode(text));
    }
  }
  writeFileSync(ALERTS, document.toString({ lineWidth: 0, singleQuote: true }));
}
