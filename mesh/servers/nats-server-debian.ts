import { fetchDebianProgram } from './debian-package.ts';
import type { Source } from './find-nats-server.ts';

/** Debian's package, which needs nothing but libc. */
export const fetchFromDebian: Source = {
  name: "Debian's package nats-server (sid)",
  fetch: (destination, signal) =>
    fetchDebianProgram(
      { packageName: 'nats-server', path: 'usr/sbin/nats-server' },
      destination,
      signal,
    ),
};
