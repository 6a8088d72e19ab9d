import t from 'tap';
import type { MeshEvent } from '../../../schema/message/heartbeat.ts';
import { findingOf } from '../../../telemetry/diagnosis/findings.ts';

// The page is plain JavaScript, for browsers.
const page = new URL('../../../gateway/console/page/verdict.js', import.meta.url).href;
interface Seen {
  event?: MeshEvent;
  refusal: number;
  code: string;
  detail: string;
  hasKey: boolean;
  waitingMs: number;
}
const { verdictOf } = (await import(page)) as {
  verdictOf: (seen: Seen) => Record<'level' | 'text' | 'advice' | 'evidence' | 'runbook', string>;
};

const SEEN = { refusal: 0, code: '', detail: '', hasKey: false, waitingMs: 60_000 };
const EVENT: MeshEvent = {
  reported_by: 'own',
  broker_connected: true,
  listening_ms: 60_000,
  findings: [],
  staleness_ms: 90_000,
  instances: [],
};

void t.test('the headline is the first finding, with what follows and what to do', (t) => {
  const findings = [
    findingOf('DatabaseSilent', { evidence: 'counter-1: no answer within 5 s' }),
    findingOf('DeadLetters', { evidence: '3 in the stream of dead letters' }),
  ];
  t.strictSame(verdictOf({ ...SEEN, event: { ...EVENT, findings } }), {
    level: 'bad',
    text: 'PostgreSQL does not answer.',
    advice:
      'Increments are accepted and wait in the stream, uncounted. See whether it is frozen, overloaded ' +
      'or waits for a lock, and the network between.',
    evidence: 'Counter-1: no answer within 5 s.',
    runbook: 'docs/runbook.md#databasesilent',
  });
  t.equal(
    verdictOf({ ...SEEN, event: { ...EVENT, findings: findings.slice(1) } }).level,
    'warning',
  );
  t.end();
});

void t.test('the page judges nothing but what it alone knows', (t) => {
  // It finds nothing in numbers that the gateway has seen too.
  const well = verdictOf({ ...SEEN, event: EVENT });
  t.match(well, { level: 'good', text: /^Counting: every increment/ });
  const soon = verdictOf({ ...SEEN, event: { ...EVENT, listening_ms: 1_000 } });
  t.match(soon, { level: 'unknown', text: 'Listening …' }, 'before services had time to report');
  t.match(verdictOf({ ...SEEN, waitingMs: 100 }), { level: 'unknown', text: 'Connecting …' });
  t.match(verdictOf(SEEN), { level: 'bad', text: /^No data/ });
  t.match(verdictOf({ ...SEEN, refusal: 401 }).text, /requires an API key/);
  const expired = { ...SEEN, refusal: 401, hasKey: true, detail: 'The key a has expired.' };
  t.match(verdictOf(expired), { text: /not valid/, evidence: 'The key a has expired.' });
  t.match(verdictOf({ ...SEEN, refusal: 403, hasKey: true }).text, /may not read/);
  const many = { ...SEEN, refusal: 503, code: 'too-many-watchers' };
  t.match(verdictOf(many).text, /Too many consoles/);
  const proxy = { ...SEEN, refusal: 503, code: 'outcome-unknown' };
  t.match(verdictOf(proxy), { level: 'bad', text: /^No data/ }, 'a proxy that reaches no gateway');
  t.end();
});
