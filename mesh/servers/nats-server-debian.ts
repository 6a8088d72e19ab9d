import { fetchDebianProgram } from './debian-package.ts';
import type { NatsServerSource } from './nats-server-source.ts';

/** Debian's package, which needs just libc. */
export const fetchFromDebian: NatsServerSource = {
  name: "Debian's package nats-server (sid)",
  fetch: (destination, signal) =>
    fetchDebianProgram(
      { packageName: 'nats-server', path: 'usr/sbin/nats-server' },
      destination,
      signal,
    ),
};
