/*
 * How many connections a gateway takes: so many in all, and so many from one address, so that no client
 * keeps the others out.
 */
import type { Socket } from 'node:net';
import proxyAddr from '@fastify/proxy-addr';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { CONNECTIONS_MAX } from '../config.ts';
import type { Stats } from '../telemetry/stats.ts';
import { canonicalAddress } from './client-address.ts';

/** Above this number idle connections are closed sooner, to make room for clients that send something. */
const CONNECTIONS_MANY = 0.8 * CONNECTIONS_MAX;
const SHORT_KEEP_ALIVE_TIMEOUT_MS = 5_000;
/** Between two log lines about refused connections. */
const WARNING_MS = 60_000;

export interface ConnectionsOptions {
  /** Connections from one address; of IPv6, from one /64 network. */
  perAddressMax: number;
  /** After which an idle connection is closed. */
  keepAliveTimeoutMs: number;
  /** Proxies carry the connections of all their clients, so their addresses have no limit of their own. */
  trustProxy?: string | undefined;
  stats: Stats;
  log: { warn: (line: string) => void };
}

/** Closes what is above the limits at once: before TLS there is no way to answer. */
export const connections = fastifyPlugin(
  (app: FastifyInstance, options: ConnectionsOptions, done) => {
    const { server } = app;
    const { perAddressMax, keepAliveTimeoutMs, stats, log } = options;
    const isProxy = compileTrust(options.trustProxy);
    const openFrom = new Map<string, number>();
    let warnedAt = -Infinity;

    server.maxConnections = CONNECTIONS_MAX;
    server.on('drop', () => refuse('total', `${CONNECTIONS_MAX} are open, which is the maximum`));
    // With TLS this comes before the handshake.
    server.on('connection', (socket: Socket) => {
      changeOpen(1);
      socket.once('close', () => changeOpen(-1));
      // It is undefined if the client has reset the connection.
      const { remoteAddress } = socket;
      if (remoteAddress === undefined || isProxy(remoteAddress)) return;
      const address = canonicalAddress(remoteAddress);
      const others = openFrom.get(address) ?? 0;
      if (others >= perAddressMax) {
        socket.destroy();
        refuse(
          'address',
          `${address} has ${others}, as many as CONNECTIONS_PER_ADDRESS_MAX allows`,
        );
        return;
      }
      openFrom.set(address, others + 1);
      socket.once('close', () => {
        const left = (openFrom.get(address) ?? 1) - 1;
        if (left === 0) openFrom.delete(address);
        else openFrom.set(address, left);
      });
    });

    function changeOpen(by: number): void {
      stats.connectionsOpen += by;
      server.keepAliveTimeout =
        stats.connectionsOpen > CONNECTIONS_MANY
          ? Math.min(SHORT_KEEP_ALIVE_TIMEOUT_MS, keepAliveTimeoutMs)
          : keepAliveTimeoutMs;
    }

    function refuse(reason: 'total' | 'address', cause: string): void {
      stats.connectionsRefused[reason]++;
      const now = performance.now();
      if (now - warnedAt < WARNING_MS) return;
      warnedAt = now;
      const { total, address } = stats.connectionsRefused;
      log.warn(`connections are refused: ${cause} (${total + address} refused since the start)`);
    }
    done();
  },
);

function compileTrust(list: string | undefined): (address: string) => boolean {
  if (list === undefined) return () => false;
  const isTrusted = proxyAddr.compile(list.split(',').map((entry) => entry.trim()));
  return (address) => isTrusted(address, 0);
}
