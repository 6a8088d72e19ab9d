import { formatNumber } from '../harness/table.ts';
import type { PointShape } from './point.ts';

/** Of a point, in a table's first column. */
export function nameOf({ gateways, counters, brokers, keys, connections }: PointShape): string {
  const parts = [`${gateways} gateway${gateways === 1 ? '' : 's'}`];
  parts.push(`${counters} counter service${counters === 1 ? '' : 's'}`);
  parts.push(`${brokers} broker${brokers === 1 ? '' : 's'}`);
  return `${parts.join(', ')}, ${formatNumber(keys)} keys, ${connections} connections`;
}

/** What was measured beside what the model or the simulation says. */
export function pair(measured: number, model: number): string {
  return `${formatNumber(measured)} / ${formatNumber(model)}`;
}
