import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { drive, send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway, type Service } from '../support/services.ts';
import { until } from '../support/until.ts';
import { startPrometheus, type ScrapeJob } from '../telemetry/prometheus.ts';
import {
  readAlerts,
  readPanels,
  readSignals,
  showsAlways,
  type Query,
} from '../telemetry/queries.ts';

/** Flushes come sooner than in operation, so that their figures do too. */
const FAST = { FLUSH_INTERVAL_MS: '1000' };

t.setTimeout(280_000);

await t.test('every query answers under load, and alerts come and go', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 1_000 });
  const gateway = await startGateway(t, servers);
  const counters = [await startCounter(t, servers, FAST), await startCounter(t, servers, FAST)];
  const prometheus = await watch(t, { gateway: [gateway], counter: counters });

  const load = new AbortController();
  const keys = Array.from({ length: 100 }, () => randomUUID());
  const clients = { connections: 2, pauseMs: 20 };
  const driven = drive({ ...clients, urls: [gateway.url], keys, signal: load.signal });
  t.teardown(() => {
    load.abort();
    return driven;
  });

  await t.test('every panel and every signal has data', async (t) => {
    for (const query of [...readSignals(), ...readPanels().filter(showsAlways)]) {
      const values = await until(
        query.place,
        () => prometheus.query(query),
        // A statement that runs at a start only has no duration later.
        (values) => values.some(Number.isFinite),
        40_000,
      );
      t.ok(values.length > 0, query.place);
    }
  });

  await t.test('the first refusals of a kind are seen', async (t) => {
    const refused = readPanels().filter(({ place }) => / Refused /.test(place));
    t.equal(refused.length, 2);
    for (const query of refused) t.same(await prometheus.query(query), [], query.place);
    const body = JSON.stringify({ key: keys[0], value: 1 });
    const other = JSON.stringify({ key: keys[0], value: 2 });
    const headers = { 'idempotency-key': randomUUID() };
    await send(`${gateway.url}/increment`, { method: 'POST', headers, body });
    await send(`${gateway.url}/increment`, { method: 'POST', headers, body: other });
    for (const query of refused) {
      await until(
        query.place,
        () => prometheus.query(query),
        ([rate = 0]) => rate > 0,
        10_000,
      );
    }
  });

  await t.test('every alert is quiet, since nothing is wrong', async (t) => {
    for (const alert of readAlerts()) {
      t.same(await prometheus.query(alert), [], `${alert.name} has nothing to say`);
    }
    t.same(await prometheus.firing(), []);
  });

  await t.test(
    'counters that are gone are missed, and staleness is told, until they are back',
    async (t) => {
      // The rule goes by the last of its looks, 15 s apart, at which a counter was there.
      const look = 'max_over_time(timestamp(stream_oldest_age_seconds)[1h:15s])';
      await until(
        'a look at a counter',
        () => prometheus.query({ place: look, expression: look }),
        (values) => values.length > 0,
        40_000,
      );
      await Promise.all(counters.map((counter) => counter.stop()));
      const areFiring = (names: string[]) =>
        names.includes('NoCounter') && names.includes('IncrementsStale');
      await until('NoCounter and IncrementsStale', prometheus.firing, areFiring, 100_000);
      t.notOk((await prometheus.firing()).includes('NoGateway'), 'increments are still accepted');

      const areMissed = (names: string[]) =>
        names.includes('NoCounter') || names.includes('IncrementsStale');
      const ports = counters.map(({ metrics }) => new URL(metrics).port);
      for (const port of ports) {
        await startCounter(t, servers, { ...FAST, OTEL_EXPORTER_PROMETHEUS_PORT: port });
      }
      await until(
        'the increments of that time were late, and a counter is there again',
        prometheus.firing,
        (names) => names.includes('LateFlush') && !areMissed(names),
        60_000,
      );
      t.pass('LateFlush fires, the others no longer');
    },
  );
});

interface Watch {
  /** The values that a query has now. */
  query: (query: Query) => Promise<number[]>;
  firing: () => Promise<string[]>;
}

/** Prometheus asks the services directly by what the collector would ask them by: the same jobs, other addresses. */
async function watch(t: Test, services: Record<string, Service[]>): Promise<Watch> {
  const text = readFileSync(join(ROOT, 'telemetry/collector.yaml'), 'utf8');
  const collector = parse(text) as {
    receivers: { prometheus: { config: { scrape_configs: ScrapeJob[] } } };
  };
  const jobs = collector.receivers.prometheus.config.scrape_configs
    .filter(({ job_name: name }) => name in services)
    .map(({ dns_sd_configs: _names, ...job }) => {
      const targets = services[job.job_name]!.map(({ metrics }) => new URL(metrics).host);
      return { ...job, static_configs: [{ targets }] };
    });
  const { query } = await startPrometheus(t, (port) => [
    ...jobs,
    // Prometheus itself takes the collector's place.
    { job_name: 'collector', static_configs: [{ targets: [`127.0.0.1:${port}`] }] },
  ]);
  return {
    query: async ({ expression }) => (await query(expression)).map(({ value }) => value),
    firing: async () =>
      (await query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric['alertname'] ?? ''),
  };
}
