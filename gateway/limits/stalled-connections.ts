/*
 * The connections that nobody else would end.
 *
 * A client that takes nothing of its answer keeps one for good: Node times headers, bodies and idle
 * connections, and a time-out of its own for this would be set anew with each request.
 *
 * At a stop Node closes what is idle, and the others after their answer, but neither one on which
 * nothing was ever sent nor one whose request never gets whole: its time-outs end with the listening.
 * Such a connection would hold the stop up for as long as its client likes.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

/** A client that takes nothing of its answer from one look to the next is cut off. */
const LOOK_MS = 35_000;
/** What a client has begun to send when the gateway stops arrives within this time, or is not awaited. */
const ARRIVAL_MS = 1_000;
/** The last answers are on their way within this time. */
const SENDING_MS = 500;

export interface StalledConnectionsOptions {
  /** Refuses new work and resolves when all that is under way is answered. */
  drain: () => Promise<unknown>;
}

export const stalledConnections = fastifyPlugin(
  (app: FastifyInstance, { drain }: StalledConnectionsOptions, done) => {
    /** With what each had left to send, and had sent, at the last look. */
    const connections = new Map<Socket, string>();
    const track = (socket: Socket): void => {
      connections.set(socket, '');
      socket.once('close', () => connections.delete(socket));
    };
    app.server.on('connection', track);
    // By TLS it is another socket that answers, and one that never ends its handshake has none.
    app.server.on('secureConnection', track);

    const timer = setInterval(() => {
      for (const [socket, before] of connections) {
        const { writableLength: unsent, bytesWritten } = socket;
        const now = unsent === 0 ? '' : `${unsent} ${bytesWritten}`;
        if (now !== '' && now === before) socket.destroy();
        else connections.set(socket, now);
      }
    }, LOOK_MS);
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
