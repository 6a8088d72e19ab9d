import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { untilTotal } from '../support/counters.ts';
import { makeFolder } from '../support/folders.ts';
import { drive, total } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway, type Service } from '../support/services.ts';
import { until } from '../support/until.ts';
import { readAlerts, readPanels, readSignals, showsAlways } from '../telemetry/queries.ts';
import { findCollectorPorts, startCollector, type CollectorPorts } from './collector.ts';
import { findCollector } from './find-collector.ts';
import { startPrometheus, type Prometheus } from '../telemetry/prometheus.ts';

/** Flushes come sooner than in operation, so that their figures do too. */
const FAST = { FLUSH_INTERVAL_MS: '1000' };
const DATA_MS_MAX = 60_000;
/** Prometheus' own: whether a target answered. */
const UP = 'up';

t.setTimeout(1_750_000);

await t.test('the collector, between services and Prometheus', async (t) => {
  const program = await findCollector();
  if (typeof program !== 'string') {
    t.pass(program.reason, { skip: true });
    return;
  }
  const folder = makeFolder(t);
  const servers = await startServers(t, { flushIntervalMs: 1_000 });
  const ports = { scrape: await findCollectorPorts(), otlp: await findCollectorPorts() };
  const telemetry = {
    OTEL_METRICS_EXPORTER: 'prometheus,otlp',
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.otlp.http}`,
  };
  const gateway = () => startGateway(t, servers, telemetry);
  const counter = () => startCounter(t, servers, { ...telemetry, ...FAST });
  const services = {
    gateway: [await gateway(), await gateway()],
    counter: [await counter(), await counter()],
  };
  // Each has a store of its own, since a service that is asked and sends counts double.
  const ways = {
    scrape: await watch(t, program, {
      file: join(folder, 'scrape.yaml'),
      ports: ports.scrape,
      targets: services,
    }),
    otlp: await watch(t, program, { file: join(folder, 'otlp.yaml'), ports: ports.otlp }),
  };

  const load = new AbortController();
  const driven = drive({
    urls: services.gateway.map(({ url }) => url),
    keys: Array.from({ length: 100 }, () => randomUUID()),
    connections: 4,
    pauseMs: 20,
    signal: load.signal,
  });
  t.teardown(() => load.abort());

  for (const [way, prometheus] of Object.entries(ways)) {
    await t.test(`by ${way} every panel and every signal has data`, async (t) => {
      for (const query of [...readSignals(), ...readPanels().filter(showsAlways)]) {
        const hasData = (values: number[]) => values.some(Number.isFinite);
        const ask = async () =>
          (await prometheus.query(query.expression)).map(({ value }) => value);
        const values = await until(`${way}: ${query.place}`, ask, hasData, DATA_MS_MAX);
        t.ok(values.length > 0, query.place);
      }
    });

    await t.test(`by ${way} every alert reads what is there`, async (t) => {
      const seen = new Set<string>();
      for (const { name: alert, expression } of readAlerts()) {
        await t.resolves(prometheus.query(expression), `${alert} is evaluated`);
        for (const name of await prometheus.metricsOf(expression)) {
          // Only a scrape tells whether there is something to scrape; alerts are there once one fires.
          if ((way !== 'scrape' && name === UP) || name === 'ALERTS') continue;
          const count = () => prometheus.query(`count(${name})`);
          const isThere = ({ length }: unknown[]) => length > 0;
          await until(`${way}: ${alert}: ${name}`, count, isThere, DATA_MS_MAX);
          seen.add(name);
        }
      }
      t.ok(seen.size > 0, `they read ${[...seen].join(', ')}`);
    });
  }

  await t.test('no alert fires, since nothing is wrong', async (t) => {
    t.same(await ways.scrape.query('ALERTS{alertstate="firing"}'), []);
  });

  await t.test('two gateways and two counter services add up to what was sent', async (t) => {
    load.abort();
    const sent = total((await driven).accepted);
    t.ok(sent > 100, `${sent} increments`);
    await untilTotal(servers.database, sent, 30_000);
    for (const [way, { query }] of Object.entries(ways)) {
      for (const name of ['increments_accepted_total', 'increments_committed_total']) {
        const sum = async () => (await query(`sum(${name})`))[0]?.value;
        t.equal(await until(`${way}: ${name}`, sum, (value) => value === sent), sent);
        t.equal((await query(name)).length, 2, `${way}: ${name} of each instance`);
      }
    }
  });

  await t.test(
    'metrics that are sent to it beside the scrape are refused, and said once',
    async (t) => {
      const sender = await startGateway(t, servers, {
        ...telemetry,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.scrape.http}`,
        OTEL_METRIC_EXPORT_INTERVAL: '200',
      });
      const lines = () => sender.log.filter(({ msg }) => msg.startsWith('metrics '));
      await until('a line', lines, ({ length }) => length > 0);
      await sender.stop();
      t.match(lines(), [{ msg: /^metrics can't be exported \(.*404/ }]);
    },
  );
});

interface WatchOptions {
  file: string;
  ports: CollectorPorts;
  /** Services that are scraped, by job; without it, they send. */
  targets?: Record<string, Service[]>;
}

async function watch(t: Test, program: string, options: WatchOptions): Promise<Prometheus> {
  const { file, ports, targets } = options;
  const job = (name: string, port: number) => ({
    job_name: name,
    static_configs: [{ targets: [`127.0.0.1:${port}`] }],
  });
  const prometheus = await startPrometheus(t, (port) => [
    job('collector', ports.metrics),
    job('prometheus', port),
  ]);
  await startCollector(t, program, {
    file,
    ports,
    writeUrl: prometheus.writeUrl,
    ...(targets !== undefined && { targets }),
  });
  return prometheus;
}
