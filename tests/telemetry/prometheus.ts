import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { parse, stringify } from 'yaml';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { makeFolder } from '../support/folders.ts';
import { send } from '../support/load.ts';
import { findDebianProgram } from '../system/debian-program.ts';
import { startProgram } from '../support/start-program.ts';

export interface Series {
  metric: Record<string, string>;
  value: number;
}

export interface Prometheus {
  /** Where a collector writes to. */
  writeUrl: string;
  /** The series that an expression has now. */
  query: (expression: string) => Promise<Series[]>;
  /** The names of metrics that an expression reads. */
  metricsOf: (expression: string) => Promise<string[]>;
}

/** Grafana fills in four times the scrape interval, at least. */
const RATE_INTERVAL = '20s';

/** Of a configuration. */
export interface ScrapeJob {
  job_name: string;
  static_configs: { targets: string[] }[];
  dns_sd_configs?: unknown;
}

/**
 * The real Prometheus with telemetry/prometheus. It takes what a collector writes, and asks itself what `jobsAt`
 * says.
 *
 * @param jobsAt is given the port of this Prometheus.
 * @param interval of scrapes and rules; shorter than in operation by default, so that nobody waits.
 */
export async function startPrometheus(
  t: Test,
  jobsAt: (port: number) => ScrapeJob[],
  interval = '1s',
): Promise<Prometheus> {
  const folder = makeFolder(t);
  const own = join(ROOT, 'telemetry/prometheus');
  const config = parse(readFileSync(join(own, 'prometheus.yaml'), 'utf8')) as {
    rule_files: string[];
  };
  const port = await findFreePort();
  const file = join(folder, 'prometheus.yaml');
  const changed = {
    ...config,
    global: { scrape_interval: interval, scrape_timeout: '1s', evaluation_interval: interval },
    rule_files: config.rule_files.map((name) => join(own, name)),
    scrape_configs: jobsAt(port),
  };
  writeFileSync(file, stringify(changed));
  const url = `http://127.0.0.1:${port}`;
  await startProgram(t, await findDebianProgram('prometheus', 'usr/bin/prometheus'), {
    args: [
      `--config.file=${file}`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
    ],
    readyUrl: `${url}/-/ready`,
  });
  const ask = async (path: string, expression: string) => {
    const query = encodeURIComponent(
      expression.replaceAll('$__rate_interval', RATE_INTERVAL).replaceAll('$instance', '.*'),
    );
    const { status, body } = await send(`${url}/api/v1/${path}?query=${query}`);
    if (status !== 200) throw new Error(`${expression}: ${body}`);
    return (JSON.parse(body) as { data: unknown }).data;
  };
  return {
    writeUrl: `${url}/api/v1/write`,
    query: async (expression) => {
      const { result } = (await ask('query', expression)) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    metricsOf: async (expression) => [...namesIn(await ask('parse_query', expression))],
  };
}

/** The names in a syntax tree, those of patterns among them. */
function namesIn(node: unknown, names = new Set<string>()): Set<string> {
  if (typeof node !== 'object' || node === null) return names;
  const { type, name } = node as { type?: string; name?: string };
  if (type === 'vectorSelector' && typeof name === 'string' && name !== '') names.add(name);
  for (const child of Object.values(node)) namesIn(child, names);
  return names;
}
