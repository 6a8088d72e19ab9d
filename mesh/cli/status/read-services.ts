import type { NatsConnection } from '@nats-io/transport-node';
import { Value } from 'typebox/value';
import { discoverServices, type ServiceStats } from '../../../nats/discovery.ts';
import { CounterStats, GatewayStats } from '../../../schema/message/heartbeat.ts';

interface Instance {
  id: string;
  version: string;
  started: string;
}

/** A gateway or counter service that answered. */
export type ServiceStatus =
  | (Instance & { name: 'gateway'; stats: GatewayStats })
  | (Instance & { name: 'counter'; stats: CounterStats });

/** Leaves out services of other projects on the same broker. */
export async function readServices(connection: NatsConnection): Promise<ServiceStatus[]> {
  return (await discoverServices(connection)).flatMap((stats) => asStatus(stats) ?? []);
}

function asStatus({ name, id, version, started, endpoints }: ServiceStats) {
  const stats = endpoints?.[0]?.data;
  const instance = { id, version, started };
  if (name === 'gateway' && Value.Check(GatewayStats, stats))
    return { ...instance, name, stats } satisfies ServiceStatus;
  if (name === 'counter' && Value.Check(CounterStats, stats))
    return { ...instance, name, stats } satisfies ServiceStatus;
  return undefined;
}
