import { AggregationTemporality, DataPointType } from '@opentelemetry/sdk-metrics';
import t from 'tap';
import {
  createCountedHistogram,
  createCountedProducer,
} from '../../telemetry/counted-histogram.ts';

const { CUMULATIVE, DELTA } = AggregationTemporality;

void t.test('each reader gets counts since the start, or since its own last look', async (t) => {
  const createSeries = createCountedHistogram({ name: 'x', description: '', boundaries: [1, 2] });
  const record = createSeries({ is: 'one' });
  const readers = {
    cumulative: createCountedProducer(CUMULATIVE),
    delta: createCountedProducer(DELTA),
    late: createCountedProducer(DELTA),
  };
  const look = async (name: keyof typeof readers) => {
    const { resourceMetrics } = await readers[name].collect();
    const metric = resourceMetrics.scopeMetrics[0]?.metrics[0];
    if (metric?.dataPointType !== DataPointType.HISTOGRAM) throw new Error('no histogram');
    t.equal(metric.aggregationTemporality, name === 'cumulative' ? CUMULATIVE : DELTA);
    const point = metric.dataPoints[0];
    const { buckets, count, sum } = point!.value;
    return { counts: buckets.counts, count, sum, start: point!.startTime, end: point!.endTime };
  };

  record(0.5);
  record(3);
  const started = await look('cumulative');
  t.match(started, { counts: [1, 0, 1], count: 2, sum: 3.5 });
  const first = await look('delta');
  t.match(first, { counts: [1, 0, 1], count: 2, sum: 3.5 });
  t.strictSame(first.start, started.start);

  record(1.5);
  t.match(await look('cumulative'), { counts: [1, 1, 1], count: 3, sum: 5, start: started.start });
  const second = await look('delta');
  t.match(second, { counts: [0, 1, 0], count: 1, sum: 1.5 });
  t.strictSame(second.start, first.end, 'one look begins where the last ended');
  t.match(await look('delta'), { counts: [0, 0, 0], count: 0, sum: 0 });
  t.match(
    await look('late'),
    { counts: [1, 1, 1], count: 3, sum: 5 },
    'one takes nothing of another',
  );
});
