import type { NatsAccess } from '../../nats/access-settings.ts';
import type { MeshFile } from './mesh-file.ts';
import { metricsUrl, type GatewayListener } from './services.ts';
import type { Supervised } from './supervisor.ts';

export function describeMesh(mesh: {
  /** Of the gateways, or of the proxy in front of them. */
  url: string;
  /** By the gateway's name. */
  listeners: Record<string, GatewayListener>;
  /** Of the metrics, by the program's name. */
  ports: Record<string, number>;
  /** Of the services' metrics. */
  metricsHost: string;
  running: Record<'gateways' | 'proxy' | 'counters' | 'nats' | 'postgres', Supervised[]>;
  /** The inspector's; of a cluster, separated by commas. */
  natsUrl: string;
  natsAccess: NatsAccess;
  stream: string;
  postgresUrl: string;
  readerUrl: string;
  schema: string;
}): MeshFile {
  const { ports, running, url, natsAccess } = mesh;
  const metrics = ({ program }: Supervised, host?: string) =>
    metricsUrl(ports[program.name]!, host);
  const [proxy] = running.proxy;
  const natsUrls = mesh.natsUrl.split(',');
  return {
    gateways: running.gateways.map((one) => {
      const { url } = mesh.listeners[one.program.name]!;
      return {
        name: one.program.name,
        pid: one.pid!,
        url,
        metrics: metrics(one, mesh.metricsHost),
      };
    }),
    proxy: proxy === undefined ? null : { pid: proxy.pid!, url, metrics: metrics(proxy) },
    counters: running.counters.map((one) => ({
      name: one.program.name,
      pid: one.pid!,
      metrics: metrics(one, mesh.metricsHost),
    })),
    nats:
      running.nats.length === 0
        ? [{ pid: null, url: mesh.natsUrl }]
        : running.nats.map(({ pid }, index) => ({ pid: pid!, url: natsUrls[index]! })),
    stream: mesh.stream,
    ...(Object.keys(natsAccess).length > 0 && { natsAccess }),
    postgres: {
      pid: running.postgres[0]?.pid ?? null,
      url: mesh.postgresUrl,
      readerUrl: mesh.readerUrl,
      schema: mesh.schema,
    },
  };
}
