import { mock } from 'node:test';
import { performance } from 'node:perf_hooks';
import t, { type Test } from 'tap';
import { createDiagnosis } from '../../../gateway/health/diagnosis.ts';
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

function takeClock(t: Test): { ms: number } {
  const clock = { ms: 1_000_000 };
  const now = mock.method(performance, 'now', () => clock.ms);
  t.teardown(() => now.mock.restore());
  return clock;
}

function listen() {
  let receive: (text: string) => void = () => undefined;
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
  return { reports, hear: (id: string) => receive(JSON.stringify(heartbeatOf(id))) };
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
