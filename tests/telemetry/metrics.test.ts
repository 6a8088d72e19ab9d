import { randomUUID } from 'node:crypto';
import t from 'tap';
import { PROBLEMS } from '../../schema/http/problem.ts';
import { readVersion } from '../../schema/version.ts';
import { startCollector, type OtlpMetric } from '../support/collector.ts';
import { send } from '../support/load.ts';
import { readMetrics, type Sample } from '../support/metrics.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';

/** As OTLP has it. */
const DELTA = 1;
/** An export would be tried for 10 s. */
const STOP_MS_MAX = 7_000;

await t.test('services tell by Prometheus and by OTLP what they did', async (t) => {
  const servers = await startServers(t);
  const collector = await startCollector(t);
  const telemetry = {
    OTEL_METRICS_EXPORTER: 'prometheus,otlp',
    ...collector.environment,
    OTEL_METRIC_EXPORT_INTERVAL: '250',
  };
  const gateway = await startGateway(t, servers, telemetry);
  const counter = await startCounter(t, servers, { ...telemetry, FLUSH_INTERVAL_MS: '300' });
  const post = (path: string, body: string) =>
    send(`${gateway.url}${path}`, { method: 'POST', body });
  const increment = JSON.stringify({ key: randomUUID(), value: 5 });

  await t.test('every kind of error has a series with 0 before the first one', async (t) => {
    const samples = [
      ...(await readMetrics(gateway.metrics)),
      ...(await readMetrics(counter.metrics)),
    ];
    const zero = (name: string, labels: Record<string, string>) =>
      t.equal(valueOf(samples, name, labels), 0, `${name} ${JSON.stringify(labels)}`);
    for (const reason of Object.keys(PROBLEMS)) {
      zero('requests_refused_total', { reason });
      zero('increments_refused_total', { reason });
    }
    const answers = 'http_server_request_duration_seconds_count';
    for (const route of ['/increment', '/increments']) {
      for (const status of [200, 400, 403, 413, 415, 421, 422, 429, 500, 503]) {
        const labels = { http_route: route, http_request_method: 'POST' };
        zero(answers, { ...labels, http_response_status_code: String(status) });
      }
    }
    zero(answers, { http_route: '/counters/:key', http_response_status_code: '503' });
    for (const status of ['400', '404', '408', '414', '431']) {
      zero(answers, { http_response_status_code: status });
    }
    const notStored = { messaging_operation_name: 'send', error_type: 'not-stored' };
    zero('messaging_client_operation_duration_seconds_count', notStored);
    zero('messaging_client_sent_messages_total', { error_type: 'not-stored' });
    zero('gateway_pack_increments_count', {});
    zero('increments_staleness_seconds_count', {});
    zero('messaging_process_duration_seconds_count', {});
    zero('counter_dead_letters_total', { reason: 'late' });
    const startedAt = valueOf(samples, 'process_start_time_seconds', {}) ?? 0;
    t.ok(startedAt > 1.5e9, 'each process says when it was started');
  });

  for (let count = 0; count < 3; count++) await post('/increment', increment);
  await post('/increments', `[${increment},${increment}]`);
  await post('/increment', '{"key":"no","value":5}');
  await post(`/nowhere/${randomUUID()}`, increment);

  await t.test('requests are counted by route and status, refusals by reason', async (t) => {
    const samples = await readMetrics(gateway.metrics);
    const requests = (labels: Record<string, string>) =>
      valueOf(samples, 'http_server_request_duration_seconds_count', labels);
    const [route, status] = ['http_route', 'http_response_status_code'];
    t.equal(requests({ [route]: '/increment', [status]: '200' }), 3);
    t.equal(requests({ [route]: '/increment', [status]: '400' }), 1);
    t.equal(requests({ [route]: '/increments', [status]: '200' }), 1);
    t.equal(requests({ [status]: '404' }), 1);
    t.notMatch(samples.map(({ labels }) => labels).join('\n'), 'nowhere', 'no path is a label');
    t.equal(valueOf(samples, 'requests_refused_total', { reason: 'no-such-route' }), 1);
    t.equal(valueOf(samples, 'increments_accepted_total', {}), 5);
    t.equal(valueOf(samples, 'messaging_client_sent_messages_total', {}), 4);
  });

  await t.test('a flush tells where its time went', async (t) => {
    const samples = await until(
      'all is committed',
      () => readMetrics(counter.metrics),
      (found) => valueOf(found, 'increments_committed_total', {}) === 5,
    );
    for (const step of ['begin', 'deduplicate', 'keys', 'upsert', 'dead-letters', 'commit']) {
      t.ok(valueOf(samples, 'counter_flush_step_duration_seconds_count', { step }), step);
    }
    t.ok(valueOf(samples, 'increments_staleness_worst_seconds', {}), 'the worst staleness');
    const skew = valueOf(samples, 'counter_minting_skew_seconds', {}) ?? NaN;
    t.ok(Math.abs(skew) < 5, `one clock, so no skew to speak of: ${skew}`);
  });

  await t.test('tables are sized, and the books balance', async (t) => {
    const samples = await readMetrics(counter.metrics);
    for (const table of ['increments', 'ledger', 'idempotency_keys', 'dead_letters']) {
      t.ok(valueOf(samples, 'database_table_bytes', { table }), table);
    }
    t.equal(valueOf(samples, 'audit_difference', {}), 0);
  });

  await t.test('by OTLP the names are those of the conventions, with units', async (t) => {
    const isComplete = (metrics: OtlpMetric[]) =>
      ['http.server.request.duration', 'messaging.process.duration'].every((name) =>
        metrics.some((metric) => metric.name === name && metric.histogram?.dataPoints.length),
      );
    const metrics = await until('all metrics came', () => collector.metrics, isComplete);
    const requests = metrics.findLast(({ name }) => name === 'http.server.request.duration');
    t.equal(requests?.unit, 's');
    for (const { count, bucketCounts } of requests?.histogram?.dataPoints ?? []) {
      const sum = bucketCounts.reduce((total, bucket) => total + Number(bucket), 0);
      t.equal(sum, Number(count), 'every request is in one bucket');
    }
    const names = new Set(metrics.map(({ name }) => name));
    for (const name of ['db.client.operation.duration', 'messaging.client.consumed.messages']) {
      t.ok(names.has(name), name);
    }
  });

  const traces = { OTEL_TRACES_EXPORTER: 'otlp', OTEL_BSP_SCHEDULE_DELAY: '100' };
  const otherGateway = await startGateway(t, servers, { ...telemetry, ...traces });
  const otherCounter = await startCounter(t, servers, {
    ...telemetry,
    FLUSH_INTERVAL_MS: '300',
    OTEL_SERVICE_NAME: 'other',
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
  });

  await t.test('several instances add up, by scrape and by OTLP', async (t) => {
    for (let count = 0; count < 4; count++)
      await send(`${otherGateway.url}/increment`, { method: 'POST', body: increment });
    const scrapes = await Promise.all(
      [gateway, otherGateway].map((one) => readMetrics(one.metrics)),
    );
    t.equal(valueOf(scrapes.flat(), 'increments_accepted_total', {}), 9);
    const newest = () => newestOf(collector.metrics, 'increments_accepted');
    const sums = await until('all by OTLP', newest, (values) => sumOf(values) === 9);
    t.strictSame(new Set(sums.values()), new Set([4, 5]), 'each instance has a series of its own');
  });

  await t.test('every signal names its service, version and instance', async (t) => {
    const sent = () => [...collector.metrics, ...collector.spans].map(({ resource }) => resource);
    const ids = (name: string) =>
      new Set(
        sent()
          .filter((resource) => resource['service.name'] === name)
          .map((resource) => resource['service.instance.id']),
      );
    await until(
      'spans',
      () => collector.spans,
      (spans) => spans.length > 0,
    );
    await until(
      'the other counter service',
      () => ids('other').size,
      (size) => size === 1,
    );
    t.equal(ids('gateway').size, 2, 'metrics and traces of a process are of one instance');
    t.equal(ids('counter').size, 1);
    t.strictSame([...new Set(sent().map((each) => each['service.version']))], [readVersion()]);
  });

  await t.test('every count goes as it is preferred, also those of histograms', async (t) => {
    const isOther = ({ resource }: OtlpMetric) => resource['service.name'] === 'other';
    const counts = () =>
      collector.metrics.filter(isOther).flatMap(({ sum, histogram }) => sum ?? histogram ?? []);
    await until('counts', counts, (found) => found.length > 0);
    t.ok(collector.metrics.some((metric) => isOther(metric) && metric.histogram !== undefined));
    const temporalities = new Set(counts().map((each) => each.aggregationTemporality));
    t.strictSame([...temporalities], [DELTA]);
    t.equal(await otherCounter.stop(), 0);
  });

  await t.test('a collector that refuses is told of once, and that it takes again', async (t) => {
    const lines = () =>
      gateway.log.map(({ msg }) => msg).filter((line) => line.startsWith('metrics '));
    collector.answer(404);
    await until('the failure', lines, ({ length }) => length > 0);
    const seen = collector.metrics.length;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    t.equal(collector.metrics.length, seen);
    collector.answer(200);
    await until('the recovery', lines, ({ length }) => length > 1);
    t.match(lines(), [
      /^metrics can't be exported \(Not Found, 404\)/,
      /^metrics are exported again/,
    ]);
  });

  await t.test('a collector that hangs delays no stop', async (t) => {
    collector.answer(0);
    await send(`${otherGateway.url}/increment`, { method: 'POST', body: increment });
    const stoppingAt = performance.now();
    t.equal(await otherGateway.stop(), 0);
    const tookMs = performance.now() - stoppingAt;
    t.ok(tookMs < STOP_MS_MAX, `${Math.round(tookMs)} ms`);
    const said = otherGateway.log.map(({ msg }) => msg);
    t.ok(said.includes('the gateway has stopped'));
    t.ok(
      said.includes('the last metrics or traces were not exported: it took longer than 1000 ms'),
      'what is lost is said',
    );
  });
});

/** The newest value of a count that each instance has sent. */
function newestOf(metrics: OtlpMetric[], name: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const { resource, sum, ...metric } of metrics) {
    const point = sum?.dataPoints[0];
    if (metric.name !== name || point === undefined) continue;
    values.set(resource['service.instance.id'] ?? '', Number(point.asInt ?? point.asDouble));
  }
  return values;
}

function sumOf(values: Map<string, number>): number {
  return [...values.values()].reduce((sum, value) => sum + value, 0);
}

/** The sum of a metric's samples that have these labels. */
function valueOf(
  samples: Sample[],
  name: string,
  wanted: Record<string, string>,
): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(wanted).every(([label, value]) =>
        sample.labels.includes(`${label}="${value}"`),
      ),
  );
  if (found.length === 0) return undefined;
  return found.reduce((sum, { value }) => sum + value, 0);
}
