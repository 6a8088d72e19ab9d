import type { NatsConnection } from '@nats-io/transport-node';
import { Value } from 'typebox/value';
import { discoverServices, type ServiceStats } from '../../../nats/discovery.ts';
import { CounterActivity, CounterStats, GatewayStats } from '../../../schema/message/heartbeat.ts';

interface Instance {
  id: string;
  version: string;
  started: string;
}

/** A gateway or counter service that answered. */
export type ServiceStatus =
  | (Instance & { name: 'gateway'; stats: GatewayStats })
  | (Instance & {
      name: 'counter';
      stats: CounterStats;
      /** Absent from an earlier version. */
      activity?: CounterActivity;
    });

/** Leaves out services of other projects on the same broker. */
export async function readServices(connection: NatsConnection): Promise<ServiceStatus[]> {
  return (await discoverServices(connection)).flatMap((stats) => asStatus(stats) ?? []);
}

function asStatus({ name, id, version, started, endpoints }: ServiceStats) {
  const stats = endpoints?.[0]?.data;
  const instance = { id, version, started };
  if (name === 'gateway' && Value.Check(GatewayStats, stats))
    return { ...instance, name, stats } satisfies ServiceStatus;
  if (name === 'counter' && Value.Check(CounterStats, stats)) {
    const { activity, ...rest } = stats as CounterStats & { activity?: unknown };
    return {
      ...instance,
      name,
      stats: rest,
      ...(Value.Check(CounterActivity, activity) && { activity }),
    } satisfies ServiceStatus;
  }
  return undefined;
}
