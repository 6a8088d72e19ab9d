import { performance } from 'node:perf_hooks';
import { context, trace } from '@opentelemetry/api';
import { pino, type Logger } from 'pino';
import { Type } from 'typebox';
import { isTracing } from './tracing.ts';

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

/** The setting `LOG_LEVEL` of every service. */
export const LogLevel = Type.Union(
  LEVELS.map((level) => Type.Literal(level)),
  { default: 'info', description: 'debug, info, warn, error or silent' },
);

export type Log = Logger;

/** What waits for an output that takes nothing; further lines are lost. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** At an exit, an output that has taken nothing for so long is not waited for. */
const STUCK_MS = 3_000;

/** One for all logs of a process. */
let output: ReturnType<typeof openOutput> | undefined;

/** JSON lines on standard output, with the name of the service and a readable time. */
export function createLog(service: string, level: string): Log {
  output ??= openOutput();
  const options = {
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...(isTracing() && { mixin: readTraceId }),
  };
  return pino(options, output);
}

/** A full disk or a closed pipe ends no service: lines are kept, and later ones lost, until it takes them. */
function openOutput() {
  const destination = pino.destination({ dest: 1, maxLength: WAITING_BYTES_MAX });
  let isBroken = false;
  /** Since when lines wait and none is taken, by performance.now(). */
  let waitingSince: number | undefined;
  const write = destination.write.bind(destination);
  destination.write = (line) => {
    waitingSince ??= performance.now();
    return write(line);
  };
  destination.on('drain', () => (waitingSince = undefined));
  destination.on('error', () => (isBroken = true));
  destination.on('write', () => {
    isBroken = false;
    waitingSince = performance.now();
  });
  // Before pino's own listener, which would try to write the rest for ever.
  process.prependListener('exit', () => {
    if (isBroken) destination.destroy();
    // A thread is stuck in a write, which Node would wait for: behind a pipe that nobody reads, for ever.
    else if (waitingSince !== undefined && performance.now() - waitingSince > STUCK_MS)
      process.kill(process.pid, 'SIGKILL');
  });
  return destination;
}

/** Adds the trace id, by which the lines of a traced request can be found. */
function readTraceId(): object {
  const span = trace.getSpanContext(context.active());
  return span === undefined ? {} : { traceId: span.traceId };
}
