import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { metrics } from '@opentelemetry/api';
import { createRollingMaximum } from './rolling-maximum.ts';

/** Sampled in C++, which costs almost nothing; a stall of this length is always seen. */
const RESOLUTION_MS = 500;

/**
 * What a process uses, with the names of OpenTelemetry's conventions for Node.js. No value is relative to
 * the last read: there may be several readers, and each must see everything.
 */
export function createProcessMetrics(): void {
  const meter = metrics.getMeter('increment-mesh/process');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const worstMs = createRollingMaximum();

  meter
    .createObservableGauge('nodejs.eventloop.delay.max', {
      description: 'The longest delay of the event loop in the last minute',
      unit: 's',
    })
    .addCallback((result) => {
      // Each sample is the time between two checks.
      worstMs.add(Math.max(0, delay.max / 1e6 - RESOLUTION_MS));
      delay.reset();
      result.observe(worstMs.read() / 1000);
    });
  meter
    .createObservableCounter('nodejs.eventloop.time', {
      description: 'Time that the event loop was busy or idle',
      unit: 's',
    })
    .addCallback((result) => {
      const { active, idle } = performance.eventLoopUtilization();
      result.observe(active / 1000, { 'nodejs.eventloop.state': 'active' });
      result.observe(idle / 1000, { 'nodejs.eventloop.state': 'idle' });
    });
  const startedAt = performance.timeOrigin / 1000;
  meter
    .createObservableGauge('process_start_time_seconds', {
      description: 'When the process was started, in seconds since 1970: each restart changes it',
    })
    .addCallback((result) => result.observe(startedAt));
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
