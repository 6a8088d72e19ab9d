import { setTimeout as delay } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import t from 'tap';
import { createProcessMetrics } from '../../telemetry/process-metrics.ts';
import { until } from '../support/until.ts';

const STALL_MS = 1_000;
/** The event loop is looked at this often, give or take a little. */
const LOOK_MS = 600;

class Reader extends MetricReader {
  protected override onForceFlush = () => Promise.resolve();
  protected override onShutdown = () => Promise.resolve();

  /** The values of a metric, as this reader gets them. */
  async read(name: string): Promise<number[]> {
    const { resourceMetrics } = await this.collect();
    const found = resourceMetrics.scopeMetrics
      .flatMap((scope) => scope.metrics)
      .find(({ descriptor }) => descriptor.name === name);
    return (found?.dataPoints ?? []).map(({ value }) => Number(value));
  }
}

void t.test('every reader sees how late and how busy the event loop was', async (t) => {
  const [first, second] = [new Reader(), new Reader()];
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [first, second] }));
  t.teardown(() => metrics.disable());
  createProcessMetrics();
  const stallAndRead = async () => {
    await delay(LOOK_MS);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
    await delay(LOOK_MS);
    return first.read('nodejs.eventloop.delay.max');
  };
  const isLate = ([lateS = 0]: number[]) => lateS > 0.4;
  const [lateS = 0] = await until('a late event loop', stallAndRead, isLate);

  for (const reader of [first, second]) {
    const [worstS = 0] = await reader.read('nodejs.eventloop.delay.max');
    t.ok(worstS >= lateS, `${worstS} s late at worst`);
    const [activeS = 0, idleS = 0] = await reader.read('nodejs.eventloop.time');
    t.ok(activeS > STALL_MS / 1_000, `busy for ${activeS} s`);
    t.ok(idleS > 0, `idle for ${idleS} s`);
  }
});
