import { mock } from 'node:test';
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createDiagnosis } from '../../../gateway/health/diagnosis.ts';
import { listenForRisk } from '../../../gateway/health/reported-risk.ts';
import { collectReports } from '../../../gateway/health/service-reports.ts';
import type { Heartbeat } from '../../../schema/message/heartbeat.ts';

const OWN = { pid: 1, host: 'here', instance: 'gateway-1' };
const INSTANCES_MAX = 256;

void t.test('a service is heard of after any number of others, though nobody has looked', (t) => {
  const clock = takeClock(t);
  const { reports, hear } = listen();
  for (let number = 0; number < INSTANCES_MAX; number++) hear(`old-${number}`);
  hear('one-too-many');
  t.equal(reports.read().length, 1 + INSTANCES_MAX);
  clock.ms += 61_000;
  hear('new');
  t.strictSame(
    reports.read().map(({ heartbeat }) => heartbeat.id),
    ['own', 'new'],
  );
  t.end();
});

void t.test('a diagnosis is made when somebody asks, and once a second for all who do', (t) => {
  const clock = takeClock(t);
  const { reports } = listen();
  let isConnected = true;
  let looks = 0;
  const diagnosis = createDiagnosis({
    own: OWN,
    reports: { ...reports, listeningMs: 0 },
    isBrokerConnected: () => isConnected,
    isStreamThere: () => true,
    readStoreProblem: () => undefined,
    readRisk: () => void looks++,
    readDatabase: () => undefined,
  });
  t.equal(looks, 0, 'nobody has asked');
  const names = () => diagnosis.findings.map(({ name }) => name);
  t.strictSame(names(), []);
  isConnected = false;
  t.strictSame(names(), []);
  t.equal(looks, 1);
  clock.ms += 1_000;
  t.strictSame(names(), ['BrokerAway']);
  t.end();
});

void t.test('a gateway speaks for no counter service, and silences none', async (t) => {
  takeClock(t);
  const { reports, hear, receive } = listen();
  const readRisk = listenForRisk({
    reports,
    readDatabaseId: () => Promise.resolve('ours'),
    onChange: () => undefined,
  });
  const told = (id: string) => JSON.stringify(counterHeartbeatOf(id));
  receive(told('forged'), 'gateway');
  await setImmediate();
  t.equal(readRisk(), undefined, 'a report on the subject of gateways');
  t.strictSame(
    reports.read().map(({ heartbeat }) => heartbeat.id),
    ['own'],
  );
  for (let number = 0; number <= INSTANCES_MAX; number++) hear(`many-${number}`);
  receive(told('counter'), 'counter');
  await setImmediate();
  t.equal(readRisk(), 'lossy', 'a counter service is heard behind any number of gateways');
});

function takeClock(t: Test): { ms: number } {
  const clock = { ms: 1_000_000 };
  const now = mock.method(performance, 'now', () => clock.ms);
  t.teardown(() => now.mock.restore());
  return clock;
}

function listen() {
  let receive: (text: string, kind: string) => void = () => undefined;
  const reports = collectReports({
    heartbeats: {
      subscribe: (_topic, listener) => {
        receive = listener;
        return () => undefined;
      },
    },
    readOwn: () => heartbeatOf('own'),
    onBroken: () => undefined,
  });
  return {
    reports,
    receive: (text: string, kind: string) => receive(text, kind),
    hear: (id: string) => receive(JSON.stringify(heartbeatOf(id)), 'gateway'),
  };
}

/** What a counter service says that sees a lossy setting. */
function counterHeartbeatOf(id: string): Heartbeat {
  const counts = {
    messages_consumed: 0,
    messages_committed: 0,
    increments_committed: 0,
    rows_committed: 0,
    already_applied: 0,
    dead_letters: 0,
    messages_redelivered: 0,
    messages_nakked: 0,
    messages_held: 0,
    keys_held: 0,
    acks_pending: 0,
    oldest_held_ms: 0,
    last_flush_ms: 0,
    worst_staleness_ms: 0,
  };
  return {
    name: 'counter',
    id,
    version: '1.0.0',
    uptime_ms: 0,
    is_stopping: false,
    stats: { ...OWN, ...counts },
    activity: {
      database_connected: true,
      flushes: [],
      risk: { text: 'lossy' },
      dead_letters: {},
      latest_dead_letters: [],
      growing_keys: [],
    },
  };
}

function heartbeatOf(id: string): Heartbeat {
  return {
    name: 'gateway',
    id,
    version: '1.0.0',
    uptime_ms: 0,
    is_stopping: false,
    stats: {
      ...OWN,
      instance: id,
      increments_accepted: 0,
      messages_published: 0,
      responses: {},
      increments_waiting: 0,
      clock_ahead_ms: 0,
      is_sync_stated: true,
    },
  };
}
