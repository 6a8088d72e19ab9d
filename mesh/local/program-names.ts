import type { MeshSettings } from './config.ts';
import { gatewayPortNames } from './gateway-listeners.ts';
import { natsPortNames } from './nats-servers.ts';

export type ServiceNames = Record<'gateways' | 'counters', string[]>;

export function serviceNames(
  { GATEWAYS, COUNTERS, PROXY }: MeshSettings,
  say: (line: string) => void,
): ServiceNames {
  const canSharePort = process.platform === 'linux' || PROXY === 1;
  if (GATEWAYS > 1 && !canSharePort) {
    say(`one gateway instead of ${GATEWAYS}: only Linux lets several share a port`);
  }
  const name = (kind: string) => (_: unknown, index: number) => `${kind}-${index + 1}`;
  return {
    gateways: Array.from({ length: canSharePort ? GATEWAYS : 1 }, name('gateway')),
    counters: Array.from({ length: COUNTERS }, name('counter')),
  };
}

/** A program serves its metrics on the port of its name. */
export function portNames(settings: MeshSettings, names: ServiceNames): string[] {
  return [
    ...natsPortNames(settings.NATS_NODES),
    'postgres',
    ...names.gateways,
    ...gatewayPortNames(settings, names.gateways),
    ...names.counters,
    ...(settings.PROXY === 1 ? ['proxy'] : []),
  ];
}
