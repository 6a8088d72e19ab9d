/*
 * Closes connections that nothing else would close.
 *
 * A client that does not read its answer keeps its connection for ever: Node only limits the time of headers,
 * bodies and idle connections, and a time-out of a socket would restart with each request.
 *
 * At a stop Node closes idle connections, and others after their answer. Connections that sent nothing, or
 * an incomplete request, stay open: request time-outs stop once the server stops listening. They would
 * delay the stop for as long as their clients like.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

/** A client that reads less than this of its answers from one check to the next is disconnected. */
const SENT_BYTES_MIN = 8_192;
const CHECK_MS = 35_000;
/** A request that has begun to arrive when the gateway stops has this long. */
const ARRIVAL_MS = 1_000;
/** The last answers are sent within this time. */
const SENDING_MS = 500;

export interface StalledConnectionsOptions {
  /** Refuses new work and resolves when all current work is answered. */
  drain: () => Promise<unknown>;
}

export const stalledConnections = fastifyPlugin(
  (app: FastifyInstance, { drain }: StalledConnectionsOptions, done) => {
    /** What each had sent at the last check, if more was left to send. */
    const connections = new Map<Socket, number | undefined>();
    const track = (socket: Socket): void => {
      connections.set(socket, undefined);
      socket.once('close', () => connections.delete(socket));
    };
    app.server.on('connection', track);
    // With TLS another socket carries the answers, and a handshake that never ends has none.
    app.server.on('secureConnection', track);

    const timer = setInterval(() => {
      for (const [socket, before] of connections) {
        const { writableLength: unsent, bytesWritten, writableEnded: isEnding } = socket;
        // What waits to be sent counts as written.
        const sent = unsent > 0 || isEnding ? bytesWritten - unsent : undefined;
        if (sent !== undefined && sent - (before ?? -Infinity) < SENT_BYTES_MIN) socket.destroy();
        else connections.set(socket, sent);
      }
    }, CHECK_MS);
    timer.unref();

    async function destroyRemaining(): Promise<void> {
      await delay(ARRIVAL_MS, undefined, { ref: false });
      await drain();
      await delay(SENDING_MS, undefined, { ref: false });
      for (const socket of connections.keys()) socket.destroy();
    }

    app.addHook('preClose', (next) => {
      clearInterval(timer);
      void destroyRemaining();
      next();
    });
    done();
  },
);
