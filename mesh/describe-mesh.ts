import type { MeshSettings } from './config.ts';
import type { MeshFile } from './mesh-file.ts';
import { gatewayUrl, metricsUrl } from './services.ts';
import type { Supervised } from './supervisor.ts';

export function describeMesh(mesh: {
  settings: MeshSettings;
  /** By the name of the service: where it serves its metrics. */
  ports: Record<string, number>;
  running: Record<'gateways' | 'counters' | 'nats' | 'postgres', Supervised[]>;
  natsUrl: string;
  postgresUrl: string;
}): MeshFile {
  const { settings, ports, running } = mesh;
  const metrics = ({ program }: Supervised) => metricsUrl(ports[program.name]!);
  const url = gatewayUrl(settings);
  return {
    gateways: running.gateways.map((one) => ({ pid: one.pid!, url, metrics: metrics(one) })),
    counters: running.counters.map((one) => ({ pid: one.pid!, metrics: metrics(one) })),
    nats: [{ pid: running.nats[0]?.pid ?? null, url: mesh.natsUrl }],
    postgres: { pid: running.postgres[0]?.pid ?? null, url: mesh.postgresUrl },
  };
}
