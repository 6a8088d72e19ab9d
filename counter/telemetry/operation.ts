import type { Attributes } from '@opentelemetry/api';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';

/** The attributes of OpenTelemetry's conventions for an operation on the stream. */
export function operation(name: 'receive' | 'process' | 'settle'): Attributes {
  return {
    'messaging.system': 'nats',
    'messaging.operation.name': name,
    'messaging.destination.name': INCREMENTS,
    'messaging.consumer.group.name': COUNTER,
  };
}
