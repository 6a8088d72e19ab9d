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

/** JSON lines on standard output, with the name of the service and a readable time. */
export function createLog(service: string, level: string): Log {
  return pino({
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...(isTracing() && { mixin: readTraceId }),
  });
}

/** Adds the trace id, by which the lines of a traced request can be found. */
function readTraceId(): object {
  const span = trace.getSpanContext(context.active());
  return span === undefined ? {} : { traceId: span.traceId };
}
