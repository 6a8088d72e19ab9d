import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { metrics } from '@opentelemetry/api';

/** Looked at in C++, so that it costs nothing to speak of; a stall of this length is always seen. */
const RESOLUTION_MS = 500;

/** What a process uses, under the names of OpenTelemetry's conventions for Node.js. */
export function createProcessMetrics(): void {
  const meter = metrics.getMeter('increment-mesh/process');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let last = performance.eventLoopUtilization();

  meter
    .createObservableGauge('nodejs.eventloop.delay.max', {
      description: 'The longest that the event loop was late since the last look',
      unit: 's',
    })
    .addCallback((result) => {
      // Each of its samples is the time between two looks.
      result.observe(Math.max(0, delay.max / 1e6 - RESOLUTION_MS) / 1000);
      delay.reset();
    });
  meter
    .createObservableGauge('nodejs.eventloop.utilization', {
      description: 'Share of the time since the last look that the event loop was busy',
      unit: '1',
    })
    .addCallback((result) => {
      const now = performance.eventLoopUtilization();
      result.observe(performance.eventLoopUtilization(now, last).utilization);
      last = now;
    });
  meter
    .createObservableGauge('process.memory.usage', {
      description: 'Resident memory',
      unit: 'By',
    })
    .addCallback((result) => result.observe(process.memoryUsage.rss()));
  meter
    .createObservableGauge('v8js.memory.heap.used', {
      description: 'JavaScript heap in use',
      unit: 'By',
    })
    .addCallback((result) => result.observe(process.memoryUsage().heapUsed));
  meter
    .createObservableCounter('process.cpu.time', {
      description: 'Processor time used',
      unit: 's',
    })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe((user + system) / 1e6);
    });
}
