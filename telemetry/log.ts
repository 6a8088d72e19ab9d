import { pino, type Logger } from 'pino';

export type Log = Logger;

/** JSON lines on standard output, with the service's name and the time as people read it. */
export function createLog(service: string, level: string): Log {
  return pino({
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}
