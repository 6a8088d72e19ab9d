import type { NatsConnection } from '@nats-io/transport-node';
import { Value } from 'typebox/value';
import { discoverServices, type ServiceStats } from '../../../nats/discovery.ts';
import { CounterFigures, GatewayFigures } from '../../../schema/message/heartbeat.ts';

interface Instance {
  id: string;
  version: string;
  started: string;
}

/** A gateway or counter that answered. */
export type ServiceStatus =
  | (Instance & { name: 'gateway'; figures: GatewayFigures })
  | (Instance & { name: 'counter'; figures: CounterFigures });

/** Other services on the same broker are of no interest here. */
export async function readServices(connection: NatsConnection): Promise<ServiceStatus[]> {
  return (await discoverServices(connection)).flatMap((stats) => asStatus(stats) ?? []);
}

function asStatus({ name, id, version, started, endpoints }: ServiceStats) {
  const figures = endpoints?.[0]?.data;
  const instance = { id, version, started };
  if (name === 'gateway' && Value.Check(GatewayFigures, figures))
    return { ...instance, name, figures } satisfies ServiceStatus;
  if (name === 'counter' && Value.Check(CounterFigures, figures))
    return { ...instance, name, figures } satisfies ServiceStatus;
  return undefined;
}
