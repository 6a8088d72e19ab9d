import { BATCH_INCREMENTS_MAX } from '../schema/message/envelope.ts';
import type { GatewayConfig } from './config.ts';

/** Pure: settings that work, and refuse what the API promises to take. */
export function findUnwiseSettings({
  RATE_LIMIT_BATCH_MAX: max,
}: Pick<GatewayConfig, 'RATE_LIMIT_BATCH_MAX'>): string[] {
  if (max === 0 || max >= BATCH_INCREMENTS_MAX) return [];
  return [
    `RATE_LIMIT_BATCH_MAX is ${max}: a batch of more increments, of which there may be ${BATCH_INCREMENTS_MAX}, ` +
      'is always refused',
  ];
}
