import t from 'tap';
import type { MeshEvent } from '../../../schema/message/heartbeat.ts';

// The page is plain JavaScript, for browsers.
const page = new URL('../../../gateway/console/page/verdict.js', import.meta.url).href;
const { judge } = (await import(page)) as {
  judge: (event: MeshEvent, ageMs?: number) => { level: string; text: string };
};

const PROBLEM = { failure: 'silent', reason: 'the broker does not answer', remedy: 'see why' };

function gateway(id: string, stats: object = {}) {
  const instance = { name: 'gateway', id, version: '', uptime_ms: 1, is_stopping: false };
  return { ...instance, stats, silent_ms: 0 } as MeshEvent['instances'][number];
}

const eventOf = (...instances: MeshEvent['instances']): MeshEvent => ({
  reported_by: 'own',
  broker_connected: true,
  listening_ms: 60_000,
  findings: [],
  staleness_ms: null,
  instances,
});

void t.test('the console names why nothing is counted', (t) => {
  const activity = { database_connected: true, counting_problem: 'the consumer counter is paused' };
  const counter = { ...gateway('c'), name: 'counter', activity } as MeshEvent['instances'][number];
  t.strictSame(judge(eventOf(gateway('own'), counter), 60_000), {
    level: 'bad',
    text: 'Nothing is counted. The consumer counter is paused.',
  });
  t.end();
});

void t.test('the console names what keeps increments from being stored', (t) => {
  const refused = 'Increments are refused: the broker does not answer. See why.';
  // With a frozen broker no counter service is heard; that they are gone would be wrong.
  const frozen = judge(eventOf(gateway('own', { store_problem: PROBLEM })));
  t.strictSame(frozen, { level: 'bad', text: refused });
  const other = judge(eventOf(gateway('own'), gateway('other', { store_problem: PROBLEM })), 0);
  t.equal(other.text, refused, 'of another gateway too');
  t.match(judge(eventOf(gateway('own'))).text, /^No counter service runs/);
  t.end();
});
