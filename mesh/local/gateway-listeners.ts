import { isIPv6 } from 'node:net';
import type { MeshSettings } from './config.ts';
import type { GatewayListener } from './services.ts';

/** How a client on this machine reaches the gateways, or the proxy in front of them. */
export function meshUrl({ HOST, PORT }: MeshSettings): string {
  const isAny = HOST === '0.0.0.0' || HOST === '::';
  const host = isAny ? '127.0.0.1' : HOST;
  return `http://${isIPv6(host) ? `[${host}]` : host}:${PORT}`;
}

/** Names of the ports that gateways do not share: behind a proxy, one each. */
export function gatewayPortNames(settings: MeshSettings, names: string[]): string[] {
  return settings.PROXY === 1 ? names.map(portName) : [];
}

/** Where each gateway listens: all on the port of the mesh, or behind a proxy, each on its own port. */
export function gatewayListeners(
  settings: MeshSettings,
  names: string[],
  ports: Record<string, number>,
): Record<string, GatewayListener> {
  const shared: GatewayListener = {
    url: meshUrl(settings),
    host: settings.HOST,
    port: settings.PORT,
    sharesPort: names.length > 1,
    isBehindProxy: false,
  };
  const entries = names.map((name): [string, GatewayListener] => {
    if (settings.PROXY === 0) return [name, shared];
    const port = ports[portName(name)]!;
    const url = `http://127.0.0.1:${port}`;
    return [name, { url, host: '127.0.0.1', port, sharesPort: false, isBehindProxy: true }];
  });
  return Object.fromEntries(entries);
}

function portName(gateway: string): string {
  return `${gateway}-http`;
}
