import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { StartError } from './start-error.ts';

/**
 * Below the ports that Linux and macOS give to outgoing connections: among those, a client that keeps
 * dialing a stopped server ends up connected to itself and holds the port.
 */
export const PORTS = { from: 20_000, to: 32_000 };

/** Set by the test runner, whose processes look at the same time: a port that was free may be taken by the
 * time that its server listens. As in `20000-24000`. */
export const PORTS_VARIABLE = 'TEST_PORTS';

/** Found in this process before: their servers may not listen yet. */
const given = new Set<number>();

/**
 * The ports of a data folder, one for each name. Those of the last run are kept while they are free,
 * so that noted addresses stay valid.
 *
 * @param except ports that are meant for something else, which does not listen yet.
 */
export async function rememberPorts<Name extends string>(
  file: string,
  names: Name[],
  except: number[] = [],
): Promise<Record<Name, number>> {
  const remembered = readRemembered(file);
  const ports: Record<string, number> = {};
  for (const name of names) {
    const last = remembered[name];
    const isKept = last !== undefined && !except.includes(last) && (await isPortFree(last));
    const taken = [...except, ...Object.values({ ...remembered, ...ports })];
    ports[name] = isKept ? last : await findFreePort(taken);
  }
  writeFileAtomically(file, `${JSON.stringify({ ...remembered, ...ports }, null, 2)}\n`);
  return ports;
}

export async function findFreePort(except: number[] = []): Promise<number> {
  const { from, to } = readPorts();
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const port = randomInt(from, to);
    if (except.includes(port) || given.has(port)) continue;
    given.add(port);
    if (await isPortFree(port)) return port;
  }
  throw new StartError(`no free port found from ${from} to ${to}`);
}

function readPorts(): { from: number; to: number } {
  const range = process.env[PORTS_VARIABLE]?.split('-').map(Number);
  return range === undefined ? PORTS : { from: range[0]!, to: range[1]! };
}

/** Whether no program listens there, not even one that would share the port. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

function readRemembered(file: string): Record<string, number> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>;
  } catch {
    // No file yet, or a damaged one: ports are only remembered for convenience.
    return {};
  }
}
