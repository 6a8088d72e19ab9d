import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { fetchGoProgram } from '../../mesh/servers/go-program.ts';
import { runProgram } from '../../mesh/servers/run-program.ts';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { findOrBuild, type Missing } from './cached-program.ts';

const BUILD_MS_MAX = 25 * 60_000;
const CORE = 'go.opentelemetry.io/collector';
const CONTRIB = 'github.com/open-telemetry/opentelemetry-collector-contrib';
/** Of components of both repositories, those that have their source in the second one. */
const OF_CONTRIB = /^prometheus/;
const KINDS = {
  receivers: 'receiver',
  processors: 'processor',
  exporters: 'exporter',
  extensions: 'extension',
  connectors: 'connector',
};

export type CollectorConfig = Record<string, Record<string, unknown>>;

export function readCollectorConfig(): CollectorConfig {
  const text = readFileSync(join(ROOT, 'telemetry/collector.yaml'), 'utf8');
  return parse(text) as CollectorConfig;
}

/**
 * The OpenTelemetry collector at the version of compose.yaml, compiled once by its own builder of the components
 * that telemetry/collector.yaml names. Of the ways in which it could find targets it has the one by DNS.
 */
export function findCollector(): Promise<string | Missing> {
  const version = versionOfCompose();
  const manifest = stringify({
    dist: {
      name: 'collector',
      module: 'localhost/collector',
      output_path: './build',
      build_tags: 'remove_all_sd,enable_dns_sd',
    },
    ...componentsOf(readCollectorConfig(), version),
  });
  const hash = createHash('sha256').update(manifest).digest('hex').slice(0, 8);
  return findOrBuild(`collector-${version}-${hash}`, async (folder) => {
    const builder = join(folder, 'builder');
    await fetchGoProgram(`${CORE}/cmd/builder@v${version}`, builder);
    writeFileSync(join(folder, 'manifest.yaml'), manifest);
    await runProgram(builder, ['--config', 'manifest.yaml'], {
      cwd: folder,
      timeoutMs: BUILD_MS_MAX,
    });
    return join(folder, 'build', 'collector');
  });
}

function versionOfCompose(): string {
  const text = readFileSync(join(ROOT, 'compose.yaml'), 'utf8');
  const version = /opentelemetry-collector:(\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (version === undefined) throw new Error('compose.yaml names no version of the collector');
  return version;
}

/** As the builder's manifest lists them: of each kind, the modules. */
function componentsOf(config: CollectorConfig, version: string) {
  const kinds = Object.entries(KINDS).filter(([section]) => section in config);
  return Object.fromEntries(
    kinds.map(([section, kind]) => {
      // `otlp_http/jaeger` is of the module otlphttpexporter.
      const names = Object.keys(config[section]!).map((id) =>
        id.split('/')[0]!.replaceAll('_', ''),
      );
      const modules = [...new Set(names)].map((name) => ({
        gomod: `${OF_CONTRIB.test(name) ? CONTRIB : CORE}/${kind}/${name}${kind} v${version}`,
      }));
      return [section, modules];
    }),
  );
}
