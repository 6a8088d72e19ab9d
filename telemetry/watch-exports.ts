/** What OpenTelemetry's exporters of metrics and of spans have in common. */
interface Exporter<Items> {
  export: (items: Items, done: (result: Result) => void) => void;
}

interface Result {
  code: number;
  error?: Error;
}

/** OpenTelemetry's code for what was exported. */
const SUCCESS = 0;

export interface WatchExportsOptions {
  signal: 'metrics' | 'traces';
  log: { warn: (line: string) => void; info: (line: string) => void };
  readTimeMs?: () => number;
}

/**
 * Makes an exporter say once that it fails, and once when that is over. Its failures go no further: the SDK
 * would repeat each of them, and do nothing else.
 */
export function watchExports<Watched extends Exporter<never>>(
  exporter: Watched,
  { signal, log, readTimeMs = () => performance.now() }: WatchExportsOptions,
): Watched {
  let failingSince: number | undefined;

  function note({ code, error }: Result): void {
    if (code === SUCCESS) {
      if (failingSince === undefined) return;
      const seconds = Math.round((readTimeMs() - failingSince) / 1000);
      failingSince = undefined;
      log.info(`${signal} are exported again, after ${seconds} s`);
    } else if (failingSince === undefined) {
      failingSince = readTimeMs();
      log.warn(
        `${signal} can't be exported (${describe(error)}); nothing else depends on it: check the OTEL_EXPORTER_OTLP_… settings and the collector`,
      );
    }
  }

  const send = exporter.export.bind(exporter) as Exporter<unknown>['export'];
  exporter.export = (items: unknown, done: (result: Result) => void) =>
    send(items, (result) => {
      note(result);
      done({ code: SUCCESS });
    });
  return exporter;
}

/** With a code, which may be all there is: of several addresses that refuse, Node has no message. */
function describe(error: Error | undefined): string {
  const { message = '', code = '' } = (error ?? {}) as { message?: string; code?: string | number };
  return [message, String(code)].filter((part) => part !== '').join(', ') || 'no reason given';
}
