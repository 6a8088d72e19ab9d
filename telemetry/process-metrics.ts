import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { metrics } from '@opentelemetry/api';
import { createRollingMaximum } from './rolling-maximum.ts';

/** Looked at in C++, so that it costs nothing to speak of; a stall of this length is always seen. */
const RESOLUTION_MS = 500;

/**
 * What a process uses, under the names of OpenTelemetry's conventions for Node.js. Nothing is since the
 * last look: there may be several readers, and each is to see everything.
 */
export function createProcessMetrics(): void {
  const meter = metrics.getMeter('increment-mesh/process');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const worstMs = createRollingMaximum();

  meter
    .createObservableGauge('nodejs.eventloop.delay.max', {
      description: 'The longest that the event loop was late in the last minute',
      unit: 's',
    })
    .addCallback((result) => {
      // Each of its samples is the time between two looks.
      worstMs.add(Math.max(0, delay.max / 1e6 - RESOLUTION_MS));
      delay.reset();
      result.observe(worstMs.read() / 1000);
    });
  meter
    .createObservableCounter('nodejs.eventloop.time', {
      description: 'Time that the event loop was busy or waited',
      unit: 's',
    })
    .addCallback((result) => {
      const { active, idle } = performance.eventLoopUtilization();
      result.observe(active / 1000, { 'nodejs.eventloop.state': 'active' });
      result.observe(idle / 1000, { 'nodejs.eventloop.state': 'idle' });
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
