/*
 * The last connections of a gateway that stops.
 *
 * Node then closes those that are idle, and the others after their answer, but neither one on which
 * nothing was ever sent nor one whose request never gets whole: its time-outs end with the listening.
 * Such a connection would hold the stop up for as long as its client likes.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

/** What a client has begun to send when the gateway stops arrives within this time, or is not awaited. */
const ARRIVAL_MS = 1_000;
/** The last answers are on their way within this time. */
const SENDING_MS = 500;

export interface LastConnectionsOptions {
  /** Refuses new work and resolves when all that is under way is answered. */
  drain: () => Promise<unknown>;
}

/** Cuts off whoever is still connected when everything is answered. */
export const lastConnections = fastifyPlugin(
  (app: FastifyInstance, { drain }: LastConnectionsOptions, done) => {
    // Node's own list lacks those that have not finished their TLS handshake.
    const connections = new Set<Socket>();
    app.server.on('connection', (socket: Socket) => {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
    });

    async function cutOff(): Promise<void> {
      await delay(ARRIVAL_MS, undefined, { ref: false });
      await drain();
      await delay(SENDING_MS, undefined, { ref: false });
      for (const socket of connections) socket.destroy();
    }

    app.addHook('preClose', (next) => {
      void cutOff();
      next();
    });
    done();
  },
);
