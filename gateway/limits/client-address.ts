import { isIP } from 'node:net';
import { normalizeIP } from '@fastify/rate-limit';
import { remember } from './remember.ts';

/** `192.0.2.1:4000`, `[2001:db8::1]:4000`, and each of them without a port. */
const WITH_PORT = /^(?:(\d+\.\d+\.\d+\.\d+)|\[([0-9a-f:.]+)\])(?::\d{1,5})?$/i;
const ZONE = /%.*$/;

/**
 * A client's address in one form, so that another spelling does not make another client. For IPv6 it is the
 * /64 network: a client with one address of it has them all. What is not an address, which a proxy may pass
 * on, is `unknown`: such clients share one limit.
 *
 * @param ip of the connection, or as a trusted proxy reports it; undefined if the client has reset the
 * connection.
 */
export function canonicalAddress(ip: string | undefined): string {
  return canonicalOf(ip ?? '');
}

const canonicalOf = remember((ip) => {
  const written = ip.trim().replace(ZONE, '');
  const [, version4, version6] = WITH_PORT.exec(written) ?? [];
  const address = version4 ?? version6 ?? written;
  return isIP(address) === 0 ? 'unknown' : normalizeIP(address);
});
