import { formatNumber, formatTable } from '../harness/table.ts';
import { idleAfterwards } from './cost-tables.ts';
import { predicted, prices, slownessAt } from './measured.ts';
import { costsOf } from './model.ts';
import { PREDICTED, type Point } from './point.ts';

const PREDICTED_SECONDS = 4;
/** In that time, as far as one can tell. */
const PREDICTED_REQUESTS = 16_000;

/** The pack is not asked of the measurement: nine tenths of a gateway's clients share a message. */
export function tableOfPrediction(): string {
  const { gateways, counters, brokers, keys, connections } = PREDICTED;
  const pack = (connections / gateways) * 0.9;
  const requests = PREDICTED_REQUESTS;
  const incrementsPerSecond = requests / PREDICTED_SECONDS;
  const model = costsOf({ incrementsPerSecond, batch: 1, pack, counters, brokers, keys }, prices);
  const perRequest = (cores: number) => (cores / incrementsPerSecond) * 1e6;
  const measured = (kind: keyof Point['cpuSeconds']) =>
    predicted && (predicted.cpuSeconds[kind] / predicted.requests / slownessAt(predicted)) * 1e6;
  const rows: [string, number, number | undefined][] = [
    ['increments in a message', pack, predicted && predicted.requests / predicted.messages],
    ['gateways, µs a request', perRequest(model.cores.gateways), measured('gateway')],
    ['brokers, µs a request', perRequest(model.cores.brokers), measured('broker')],
    [
      'counter services, µs a request',
      perRequest(model.cores.counters) + idleAfterwards(counters, requests),
      measured('counter'),
    ],
    [
      'bytes between brokers, a request',
      model.routeBytesPerSecond / incrementsPerSecond,
      predicted && predicted.routeBytes / predicted.requests,
    ],
    [
      'rows a request',
      (counters * keys * -Math.expm1(-requests / counters / keys)) / requests,
      predicted && predicted.rows / predicted.requests,
    ],
  ];
  return formatTable(
    ['', 'predicted', 'measured', 'measured / predicted'],
    rows.map(([name, expected, found]) => [
      name,
      formatNumber(expected),
      formatNumber(found),
      found === undefined ? '–' : (found / expected).toFixed(2),
    ]),
  );
}
