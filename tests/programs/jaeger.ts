import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { runProgram } from '../../mesh/servers/run-program.ts';
import { send } from '../support/load.ts';
import { findOrBuild, type Missing } from './cached-program.ts';
import { startProgram } from '../support/start-program.ts';

/** The last one that has a Go module: Jaeger 2.13, which says itself that it is this. */
const VERSION = '1.76.0';
const MODULE = 'github.com/jaegertracing/jaeger';
const BUILD_MS_MAX = 25 * 60_000;

/** A span as Jaeger's HTTP API gives it; a link is a reference. */
export interface JaegerSpan {
  traceID: string;
  spanID: string;
  operationName: string;
  references: { refType: 'CHILD_OF' | 'FOLLOWS_FROM'; traceID: string; spanID: string }[];
  tags: { key: string; value: unknown }[];
  processID: string;
}

export interface Jaeger {
  /** Takes OTLP over HTTP. */
  otlpUrl: string;
  /** Of one trace; empty while it is not there. */
  readTrace: (traceId: string) => Promise<JaegerSpan[]>;
  /** All of the newest traces of a service, those with a span that has these tags. */
  search: (service: string, tags?: Record<string, string>) => Promise<JaegerSpan[]>;
}

/** Compiled once, in the folder of its module: `go install` refuses it, since its go.mod replaces a module. */
export function findJaeger(): Promise<string | Missing> {
  return findOrBuild(`jaeger-${VERSION}`, async (folder) => {
    const download = ['mod', 'download', '-json', `${MODULE}@v${VERSION}`];
    const options = { cwd: folder, timeoutMs: BUILD_MS_MAX };
    const { Dir: source } = JSON.parse(await runProgram('go', download, options)) as {
      Dir: string;
    };
    const program = join(folder, 'jaeger');
    const build = ['build', '-trimpath', '-ldflags=-s -w', '-o', program, './cmd/jaeger'];
    await runProgram('go', build, { ...options, cwd: source });
    return program;
  });
}

/** The real Jaeger, which keeps traces in memory. */
export async function startJaeger(t: Test, program: string, folder: string): Promise<Jaeger> {
  const [otlp, http, grpc] = [await findFreePort(), await findFreePort(), await findFreePort()];
  const at = (port: number) => ({ endpoint: `127.0.0.1:${port}` });
  const file = join(folder, 'jaeger.yaml');
  const config = {
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
      jaeger_query: { storage: { traces: 'memory' }, http: at(http), grpc: at(grpc) },
    },
    receivers: { otlp: { protocols: { http: at(otlp) } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
    },
  };
  writeFileSync(file, stringify(config));
  const api = `http://127.0.0.1:${http}/api`;
  await startProgram(t, program, { args: [`--config=${file}`], readyUrl: `${api}/services` });
  const read = async (path: string): Promise<JaegerSpan[]> => {
    const { status, body } = await send(`${api}${path}`);
    if (status === 404) return [];
    if (status !== 200) throw new Error(`Jaeger answers ${status} to ${path}: ${body}`);
    const { data } = JSON.parse(body) as { data: { spans: JaegerSpan[] }[] };
    return data.flatMap(({ spans }) => spans);
  };
  return {
    otlpUrl: `http://127.0.0.1:${otlp}`,
    readTrace: (traceId) => read(`/traces/${traceId}`),
    search: (service, tags = {}) => {
      const query = new URLSearchParams({ service, limit: '100', tags: JSON.stringify(tags) });
      return read(`/traces?${query.toString()}`);
    },
  };
}
