import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { natsUrls, startNats, urlsByRole, type NatsOptions } from '../../mesh/servers/nats.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import type { NatsRole } from '../../nats/connect.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { startProxy, type Proxy } from './proxy.ts';

/** One nats-server, with its connections under our hands. */
export interface Broker {
  readonly name: string;
  /** Of clients that nothing is done to, and of proxies. */
  readonly port: number;
  /** To services, and to the other servers. */
  readonly clients: Link[];
  readonly routes: Link[];
  kill: (signal: NodeJS.Signals) => void;
  /** Starts it again after a kill. Resolves when it serves clients and has caught up with the others. */
  restart: (options?: { isEmpty: boolean }) => Promise<void>;
  stop: () => Promise<void>;
}

/** Connections of a broker, which has dialed them or was dialed. */
export interface Link {
  proxy: Proxy;
  isDialer: boolean;
}

export interface Brokers {
  all: Broker[];
  /** Of all of them, past the proxies. */
  urls: Record<NatsRole, string>;
  stop: () => Promise<void>;
}

/** Nothing listens there: servers and clients that learn of it find no way past the proxies. */
const NOWHERE = '127.0.0.1:1';

/** One nats-server that runs alone, or three as a cluster, on free ports of 127.0.0.1. */
export async function startBrokers(folder: string, count: number): Promise<Brokers> {
  const names = Array.from({ length: count }, (_, index) => `nats-${index + 1}`);
  const ports = new Map<string, { client: number; route: number; monitor: number }>();
  for (const name of names) {
    const [client, route, monitor] = [findFreePort(), findFreePort(), findFreePort()];
    ports.set(name, { client: await client, route: await route, monitor: await monitor });
  }
  const proxies: { dialer: string; dialed: string; proxy: Proxy }[] = [];
  // One of each pair dials: where both do, each can end what the other has dialed, for many seconds.
  for (const dialer of names) {
    for (const dialed of names.filter((name) => name > dialer)) {
      const proxy = await startProxy('bytes', () => ports.get(dialed)!.route);
      proxies.push({ dialer, dialed, proxy });
    }
  }

  function optionsOf(name: string): NatsOptions {
    const { client: port, route: routePort, monitor: monitorPort } = ports.get(name)!;
    const shared = { folder: join(folder, name), port, passwords: PASSWORDS };
    if (count === 1) return shared;
    const ours = proxies.filter(({ dialer }) => dialer === name);
    // Its own too, or the last would have none and not start.
    const routePorts = [routePort, ...ours.map(({ proxy }) => proxy.port)];
    return {
      ...shared,
      cluster: { serverName: name, routePort, monitorPort, routePorts, password: 'routes' },
      flags: ['--no_advertise', '--cluster_advertise', NOWHERE],
    };
  }

  const all = await Promise.all(
    names.map((name) => {
      const ours = proxies.filter(({ dialer, dialed }) => [dialer, dialed].includes(name));
      const routes = ours.map(({ dialer, proxy }) => ({ proxy, isDialer: dialer === name }));
      return startBroker(count === 1 ? 'nats-server' : name, optionsOf(name), routes);
    }),
  );
  const urls = names.map((name) => natsUrls(optionsOf(name)));
  return {
    all,
    urls: urlsByRole((role) => urls.map((each) => each[role]).join(',')),
    stop: async () => {
      await Promise.all(all.map(({ stop }) => stop()));
      await Promise.all(proxies.map(({ proxy }) => proxy.close()));
    },
  };
}

async function startBroker(name: string, options: NatsOptions, routes: Link[]): Promise<Broker> {
  const launch = async () => endWithUs(await startNats(options));
  let server = await launch();
  return {
    name,
    port: options.port,
    clients: [],
    routes,
    kill: (signal) => server.kill(signal),
    restart: async ({ isEmpty } = { isEmpty: false }) => {
      await server.exited;
      if (isEmpty) rmSync(options.folder, { recursive: true });
      server = await launch();
    },
    stop: () => server.stop(),
  };
}
