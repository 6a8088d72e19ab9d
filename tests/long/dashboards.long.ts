import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { drive, send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway, type Service } from '../support/services.ts';
import { until } from '../support/until.ts';
import { readAlerts, readPanels, readSignals, type Query } from '../telemetry/queries.ts';
import { findDebianProgram } from '../system/debian-program.ts';

/** Flushes come sooner than in operation, so that their figures do too. */
const FAST = { FLUSH_INTERVAL_MS: '1000' };
/** Panels that show only what is wrong. */
const EMPTY_WHERE_WELL =
  /: (Findings|Findings now|Refused requests|Refused increments|Dead letters by reason|Stream fill)$/;

t.setTimeout(280_000);

await t.test('every query answers under load, and alerts come and go', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 1_000 });
  const gateway = await startGateway(t, servers);
  const counters = [await startCounter(t, servers, FAST), await startCounter(t, servers, FAST)];
  const prometheus = await startPrometheus(t, { gateway: [gateway], counter: counters });

  const load = new AbortController();
  const keys = Array.from({ length: 100 }, () => randomUUID());
  const clients = { connections: 2, pauseMs: 20 };
  const driven = drive({ ...clients, urls: [gateway.url], keys, signal: load.signal });
  t.teardown(() => {
    load.abort();
    return driven;
  });

  await t.test('every panel and every signal has data', async (t) => {
    const queries = [...readSignals(), ...readPanels()].filter(
      // The collector and Prometheus are there, and have been for long.
      ({ place }) => !EMPTY_WHERE_WELL.test(place) && place !== 'mesh:unobserved',
    );
    for (const query of queries) {
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

interface Prometheus {
  /** The values that a query has now. */
  query: (query: Query) => Promise<number[]>;
  firing: () => Promise<string[]>;
}

interface Scrape {
  global: Record<string, string>;
  scrape_configs: { job_name: string; dns_sd_configs?: unknown; static_configs?: unknown }[];
}

/**
 * The real Prometheus with the rules as they are, asking the services directly by what the collector
 * would ask them by: the same jobs, other addresses, and every second, so that nobody waits.
 */
async function startPrometheus(t: Test, services: Record<string, Service[]>): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-prometheus-'));
  const port = await findFreePort();
  const file = (path: string) =>
    parse(readFileSync(join(ROOT, 'telemetry', path), 'utf8')) as unknown;
  const own = file('prometheus/prometheus.yaml') as { rule_files: string[] };
  const collector = file('collector.yaml') as { receivers: { prometheus: { config: Scrape } } };
  const jobs = collector.receivers.prometheus.config.scrape_configs
    .filter(({ job_name: name }) => name in services)
    .map(({ dns_sd_configs: _names, ...job }) => {
      const targets = services[job.job_name]?.map(({ metrics }) => new URL(metrics).host);
      return { ...job, static_configs: [{ targets }] };
    });
  // Prometheus itself takes the collector's place.
  jobs.push({ job_name: 'collector', static_configs: [{ targets: [`127.0.0.1:${port}`] }] });
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: own.rule_files.map((name) => join(ROOT, 'telemetry/prometheus', name)),
    scrape_configs: jobs,
  };
  writeFileSync(join(folder, 'prometheus.yaml'), stringify(config));

  const binary = await findDebianProgram('prometheus', 'usr/bin/prometheus');
  const server = spawn(
    binary,
    [
      `--config.file=${folder}/prometheus.yaml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const exited = once(server, 'exit');
  t.teardown(async () => {
    server.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  });

  const url = `http://127.0.0.1:${port}`;
  const isReady = () =>
    send(`${url}/-/ready`).then(
      ({ status }) => status === 200,
      () => false,
    );
  await until('Prometheus is ready', isReady, Boolean, 30_000);
  const ask = async (expression: string) => {
    const { status, body } = await send(
      `${url}/api/v1/query?query=${encodeURIComponent(expression)}`,
    );
    if (status !== 200) throw new Error(`${expression}: ${body}`);
    const { data } = JSON.parse(body) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return data.result;
  };
  return {
    // Grafana fills in four times the scrape interval, at least.
    query: async ({ expression }) =>
      (
        await ask(expression.replaceAll('$__rate_interval', '20s').replaceAll('$instance', '.*'))
      ).map(({ value }) => Number(value[1])),
    firing: async () =>
      (await ask('ALERTS{alertstate="firing"}')).map(({ metric }) => metric['alertname'] ?? ''),
  };
}
