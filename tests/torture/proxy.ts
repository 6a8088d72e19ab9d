import { connect, createServer, type Server, type Socket } from 'node:net';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { createSplitter, type Frame, type Protocol } from './frames.ts';

/** What becomes of a message: it passes, or is lost, or the connection breaks instead of it. */
export type Fate = 'pass' | 'drop' | 'cut';

/** One connection of a service to its server. */
export interface Wire {
  cut: () => void;
}

/** Looks at a message before it passes, and decides about it or leaves it to others. */
export type Watcher = (frame: Frame, wire: Wire) => Fate | undefined;

/** Which way nothing passes. */
export type Way = 'to server' | 'from server' | 'both';

/** What can be done to connections. */
export interface Connections {
  /** Shows every message to the watcher until the returned function is called. */
  watch: (watcher: Watcher) => () => void;
  /** Nothing passes and nothing breaks, as when a switch dies; one way, as when a firewall errs. */
  stall: (way?: Way) => void;
  /** Connections break, and new ones too. */
  refuse: () => void;
  /** Everything passes again; what was stalled arrives late, unless it is cut. */
  open: () => void;
  cut: () => void;
}

/** Stands between one service and one server. */
export interface Proxy extends Connections {
  readonly port: number;
  close: () => Promise<void>;
}

interface Connection extends Wire {
  client: Socket;
  server: Socket;
}

/** @param serverPort is asked at each connection, so that another server can take over. */
export async function startProxy(protocol: Protocol, serverPort: () => number): Promise<Proxy> {
  const port = await findFreePort();
  const connections = new Set<Connection>();
  const watchers = new Set<Watcher>();
  // One side of a connection can outlast the other, and a paused one would for ever.
  const sockets = new Set<Socket>();
  let isRefusing = false;
  let stalled: Way | undefined;

  const listener = createServer((client) => {
    if (isRefusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(serverPort(), '127.0.0.1');
    const connection: Connection = { client, server, cut: () => cutConnection(connection) };
    connections.add(connection);
    relay(connection, true);
    relay(connection, false);
    if (stalled !== undefined) pause(connection, stalled);
  });
  await listen(listener, port);

  function relay(connection: Connection, toServer: boolean): void {
    const { client, server } = connection;
    const [from, to] = toServer ? [client, server] : [server, client];
    const split = createSplitter(protocol, toServer);
    from.setNoDelay(true);
    sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      for (const frame of split(chunk)) {
        const fate = decide(frame, connection);
        if (fate === 'cut') return connection.cut();
        if (fate !== 'drop' && to.writable) to.write(frame.bytes);
      }
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => {
      to.end();
      sockets.delete(from);
      connections.delete(connection);
    });
  }

  function decide(frame: Frame, wire: Wire): Fate {
    for (const watcher of watchers) {
      const fate = watcher(frame, wire);
      if (fate !== undefined) return fate;
    }
    return 'pass';
  }

  function cut(): void {
    for (const connection of connections) connection.cut();
  }

  function open(): void {
    isRefusing = false;
    stalled = undefined;
    for (const { client, server } of connections) {
      client.resume();
      server.resume();
    }
  }

  return {
    port,
    watch: (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    stall: (way = 'both') => {
      stalled = way;
      for (const connection of connections) pause(connection, way);
    },
    refuse: () => {
      isRefusing = true;
      cut();
    },
    open,
    cut,
    close: () => {
      for (const socket of sockets) socket.resetAndDestroy();
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}

/** What is done to one is done to all. */
export function joinConnections(all: Connections[]): Connections {
  return {
    watch: (watcher) => {
      const endings = all.map(({ watch }) => watch(watcher));
      return () => endings.forEach((end) => end());
    },
    stall: (way) => all.forEach(({ stall }) => stall(way)),
    refuse: () => all.forEach(({ refuse }) => refuse()),
    open: () => all.forEach(({ open }) => open()),
    cut: () => all.forEach(({ cut }) => cut()),
  };
}

function pause({ client, server }: Connection, way: Way): void {
  if (way !== 'from server') client.pause();
  if (way !== 'to server') server.pause();
}

/** A reset, as a crashed machine or a firewall gives it; what is in a buffer is lost. */
function cutConnection({ client, server }: Connection): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}

function listen(listener: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', resolve);
  });
}
