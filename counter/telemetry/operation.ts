import type { Attributes } from '@opentelemetry/api';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';

/** The types of OpenTelemetry's conventions, and one of our own. */
export type Operation = 'receive' | 'process' | 'settle' | 'dead-letter';

/** The attributes of OpenTelemetry's conventions for an operation on the stream. */
export function operation(name: Operation): Attributes {
  return {
    'messaging.system': 'nats',
    'messaging.operation.name': name,
    'messaging.destination.name': INCREMENTS,
    'messaging.consumer.group.name': COUNTER,
  };
}
