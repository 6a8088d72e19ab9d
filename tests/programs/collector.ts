import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { findFreePort } from '../../mesh/servers/ports.ts';
import type { Service } from '../support/services.ts';
import type { ScrapeJob } from '../telemetry/prometheus.ts';
import { readCollectorConfig } from './find-collector.ts';
import { startProgram, type StartedProgram } from '../support/start-program.ts';

interface Config {
  receivers: {
    otlp: { protocols: Record<'grpc' | 'http', { endpoint: string }> };
    prometheus?: {
      config: { global: Record<string, string>; scrape_configs: ScrapeJob[] };
    };
  };
  exporters: Record<string, { endpoint?: string; tls?: unknown }>;
  service: {
    telemetry: { metrics: unknown };
    pipelines: Record<'metrics' | 'traces', { receivers: string[]; exporters: string[] }>;
  };
}

export interface CollectorOptions {
  /** Of its configuration. */
  file: string;
  ports: CollectorPorts;
  /** Where metrics go, by remote write; else nowhere. */
  writeUrl?: string;
  /** Where traces go, by OTLP over HTTP; else nowhere. */
  tracesUrl?: string;
  /** Whom it asks for metrics, by job; without it, it takes those that are sent by OTLP instead. */
  targets?: Record<string, Pick<Service, 'metrics'>[]>;
}

export interface CollectorPorts {
  grpc: number;
  http: number;
  /** Its own metrics. */
  metrics: number;
}

/** A port where nothing listens. */
const NOWHERE = 'http://127.0.0.1:9';

export async function findCollectorPorts(): Promise<CollectorPorts> {
  return {
    grpc: await findFreePort(),
    http: await findFreePort(),
    metrics: await findFreePort(),
  };
}

/** The real collector with telemetry/collector.yaml, at other addresses and every second, so that nobody waits. */
export async function startCollector(
  t: Test,
  program: string,
  options: CollectorOptions,
): Promise<StartedProgram> {
  const { file, ports } = options;
  writeFileSync(file, stringify(configure(readCollectorConfig() as unknown as Config, options)));
  return startProgram(t, program, {
    args: [`--config=${file}`],
    readyUrl: `http://127.0.0.1:${ports.metrics}/metrics`,
  });
}

function configure(config: Config, options: CollectorOptions): Config {
  const { ports, targets, writeUrl, tracesUrl } = options;
  const { receivers, exporters, service } = config;
  receivers.otlp.protocols.grpc.endpoint = `127.0.0.1:${ports.grpc}`;
  receivers.otlp.protocols.http.endpoint = `127.0.0.1:${ports.http}`;
  if (targets === undefined) {
    delete receivers.prometheus;
    service.pipelines.metrics.receivers = ['otlp'];
  } else {
    const { config: scrape } = receivers.prometheus!;
    scrape.global = { scrape_interval: '1s', scrape_timeout: '1s' };
    scrape.scrape_configs = scrape.scrape_configs
      .filter(({ job_name: name }) => name in targets)
      .map(({ dns_sd_configs: _names, ...job }) => ({
        ...job,
        static_configs: [
          { targets: targets[job.job_name]!.map(({ metrics }) => new URL(metrics).host) },
        ],
      }));
  }
  for (const [name, exporter] of Object.entries(exporters)) {
    if (name.startsWith('prometheus')) exporter.endpoint = writeUrl ?? NOWHERE;
    if (name.startsWith('otlp')) exporter.endpoint = tracesUrl ?? NOWHERE;
  }
  service.telemetry.metrics = {
    readers: [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: ports.metrics } } } }],
  };
  return config;
}
