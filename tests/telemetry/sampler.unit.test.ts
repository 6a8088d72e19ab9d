import { ROOT_CONTEXT, SpanKind, trace, type Context, type SpanContext } from '@opentelemetry/api';
import { SamplingDecision } from '@opentelemetry/sdk-trace';
import t from 'tap';
import { createSampler } from '../../telemetry/sampler.ts';
import { readTelemetrySettings } from '../../telemetry/settings.ts';
import { readSampled, writeTraceparent } from '../../telemetry/tracing.ts';

const SAMPLED: SpanContext = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 };
const UNSAMPLED: SpanContext = { ...SAMPLED, traceFlags: 0 };

void t.test('whatever serves a sampled request is sampled, and nothing else', (t) => {
  for (const name of ['always_on', 'always_off', 'traceidratio', 'parentbased_traceidratio']) {
    const isSampled = decideBy({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: '0' });
    t.ok(isSampled({ links: [UNSAMPLED, SAMPLED] }), `${name}: the flush of a sampled request`);
    t.ok(isSampled({ parent: SAMPLED }), `${name}: a step of that flush`);
    t.ok(isSampled({ parent: SAMPLED, links: [UNSAMPLED] }), `${name}: a dead letter`);
    t.notOk(isSampled({ links: [UNSAMPLED] }), `${name}: the flush of others`);
    t.notOk(isSampled({}), `${name}: what serves no request`);
  }
  t.end();
});

void t.test('the setting decides which requests are sampled', (t) => {
  const request = { kind: SpanKind.SERVER };
  const ofTraced = { ...request, parent: SAMPLED };
  t.ok(decideBy({})(request));
  t.ok(decideBy({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' })(ofTraced));
  t.notOk(decideBy({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' })(request));
  t.notOk(decideBy({ OTEL_TRACES_SAMPLER: 'always_off' })(ofTraced));
  t.notOk(decideBy({})({ ...request, parent: UNSAMPLED }));
  t.end();
});

void t.test('a traceparent is read as it is written; one that is invalid is ignored', (t) => {
  t.match(readSampled(writeTraceparent(SAMPLED)), SAMPLED);
  t.equal(readSampled(writeTraceparent(UNSAMPLED)), undefined);
  const { traceId, spanId } = SAMPLED;
  const zero = '0';
  for (const invalid of [
    '',
    'x',
    `00-${zero.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${zero.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
  ])
    t.equal(readSampled(invalid), undefined, invalid);
  t.end();
});

interface Asked {
  kind?: SpanKind;
  parent?: SpanContext;
  links?: SpanContext[];
}

function decideBy(environment: NodeJS.ProcessEnv) {
  const sampler = createSampler(readTelemetrySettings(environment));
  return ({ kind = SpanKind.INTERNAL, parent, links = [] }: Asked): boolean => {
    const context: Context =
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    const asLinks = links.map((one) => ({ context: one }));
    const { decision } = sampler.shouldSample(context, 'c'.repeat(32), 'x', kind, {}, asLinks);
    return decision === SamplingDecision.RECORD_AND_SAMPLED;
  };
}
