import t from 'tap';
import { createFlushTracing } from '../../counter/telemetry/tracing.ts';
import type { FlushResult } from '../../counter/flush/flush.ts';
import type { Log } from '../../telemetry/log.ts';
import { readTelemetrySettings } from '../../telemetry/settings.ts';
import { startTelemetry } from '../../telemetry/start.ts';
import { readAttributes, startCollector, type OtlpSpan } from '../support/collector.ts';
import { until } from '../support/until.ts';

/** What docs/operations.md promises. */
const LINKS_MAX = 500;
const MESSAGES_MAX = 10_000;
const LEFT_OUT = 'increment_mesh.links_left_out';
const COUNT = 'messaging.batch.message_count';
const TIMES = { durationMs: 50, stalenessMs: 100 };

const collector = await startCollector(t);
Object.assign(process.env, collector.environment, {
  OTEL_TRACES_EXPORTER: 'otlp',
  OTEL_BSP_SCHEDULE_DELAY: '50',
  // All spans of two flushes, with their dead letters.
  OTEL_BSP_MAX_QUEUE_SIZE: '600',
});
const settings = readTelemetrySettings({ ...process.env, OTEL_METRICS_EXPORTER: 'none' });
const logged: string[] = [];
const log = { warn: (line: string) => logged.push(line) } as unknown as Log;
const stopTelemetry = await startTelemetry('counter', settings, log);
t.teardown(stopTelemetry);

const warned: string[] = [];
const tracing = createFlushTracing((line) => warned.push(line));

await t.test(
  'up to 10 000 messages of a flush can be followed to it, and the rest is said',
  async (t) => {
    tracing.flushed(flushOf(MESSAGES_MAX), TIMES);
    t.strictSame(warned, []);
    tracing.flushed(flushOf(MESSAGES_MAX + 7, 600), TIMES);
    t.match(warned[0], /more traced messages than the 10000 .* OTEL_TRACES_SAMPLER_ARG/);
    t.match(warned[1], /more dead letters than the 500/);
    tracing.purged(1);
    await until('the last span', () => spansOf('settle INCREMENTS').length === 1, Boolean);

    const flushes = spansOf('process INCREMENTS');
    const isFirst = ({ parentSpanId = '' }: OtlpSpan) => parentSpanId === '';
    const isCut = (span: OtlpSpan) => LEFT_OUT in readAttributes(span.attributes);
    const whole = flushes.find((span) => isFirst(span) && !isCut(span));
    const cut = flushes.find((span) => isFirst(span) && isCut(span));
    for (const [first, messages] of [
      [whole!, MESSAGES_MAX],
      [cut!, MESSAGES_MAX + 7],
    ] as const) {
      const spans = flushes.filter(({ traceId }) => traceId === first.traceId);
      const links = spans.flatMap(({ links: some = [] }) => some);
      t.equal(new Set(links.map(({ traceId }) => traceId)).size, MESSAGES_MAX);
      const events = spans.flatMap(({ events: some = [] }) => some);
      const found = events.map((event) => readAttributes(event.attributes));
      const sequences = found.map((one) => one['messaging.nats.stream.sequence']);
      t.equal(new Set(sequences).size, MESSAGES_MAX, 'each is found by its sequence');
      t.ok(spans.every(({ links: some = [] }) => some.length <= LINKS_MAX));
      const counts = spans.map((span) => readAttributes(span.attributes)[COUNT] as number);
      const sum = counts.reduce((before, count) => before + count, 0);
      t.equal(sum, messages, 'each message is counted in one span');
    }
    t.match(readAttributes(cut!.attributes), {
      [LEFT_OUT]: 7,
      'increment_mesh.dead_letters_left_out': 100,
    });
    t.equal(spansOf('dead-letter INCREMENTS').length, 500);
    t.ok(collector.spans.every(({ droppedLinksCount = 0 }) => droppedLinksCount === 0));
  },
);

await t.test('that spans are dropped is said once, with what to do', async (t) => {
  const drop = async (flushes: number) => {
    const before = collector.spans.length;
    // At once, so that no export makes room.
    for (let index = 0; index < flushes; index++) tracing.flushed(flushOf(500, 500), TIMES);
    const countNew = () => collector.spans.length - before;
    await until('an export', countNew, (count) => count >= 600);
    // The SDK says it with the next span for which there is room.
    tracing.flushed(flushOf(1), TIMES);
    await until('another export', countNew, (count) => count > 600);
  };
  await drop(2);
  await drop(3);
  t.match(logged, [/traces have gaps.*OTEL_TRACES_SAMPLER_ARG.*OTEL_BSP_MAX_QUEUE_SIZE/]);
  t.equal(logged.length, 1);
});

function spansOf(name: string): OtlpSpan[] {
  return collector.spans.filter((span) => span.name === name);
}

/** A flush of messages that are all traced. */
function flushOf(messages: number, deadLetters = 0): FlushResult {
  const traced = Array.from({ length: messages }, (_, sequence) => ({
    traceparent: `00-${hex(sequence + 1, 32)}-${hex(sequence + 1, 16)}-01`,
    id: `message-${sequence}`,
    sequence,
    reasons: sequence < deadLetters ? (['bad-value'] as const) : [],
  }));
  return { settled: messages, traced, stepsMs: { begin: 1, commit: 2 } } as unknown as FlushResult;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
