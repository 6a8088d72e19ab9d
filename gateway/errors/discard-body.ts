/*
 * What is left of a refused body. Many clients read no answer before they have sent all; if their connection
 * were closed meanwhile, they would get a broken pipe in place of the answer.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** So much is read and thrown away, and for so long; then the connection is closed. */
const DISCARDED_BYTES_MAX = 64 * 1024 * 1024;
const DISCARDED_MS_MAX = 5_000;

const discarding = new WeakSet<Socket>();

/** Reads away what is left of a body whose request has been answered. */
export function discardBody(request: IncomingMessage): void {
  if (request.complete || request.readableEnded) return;
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), DISCARDED_MS_MAX);
  let left = DISCARDED_BYTES_MAX;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  discarding.add(socket);
  request.once('end', finish);
  socket.once('close', finish);

  function finish(): void {
    clearTimeout(timer);
    discarding.delete(socket);
    socket.off('close', finish);
  }
}

/** Whether the request that still arrives on a connection has been answered. */
export function isDiscarding(socket: Socket): boolean {
  return discarding.has(socket);
}
