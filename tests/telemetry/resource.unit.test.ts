import t, { type Test } from 'tap';
import { readVersion } from '../../schema/version.ts';
import { createResource } from '../../telemetry/resource.ts';

const ID = 'service.instance.id';

void t.test('what is exported names service, version and instance, and no owner', (t) => {
  const [one, other] = [attributes(t, {}), attributes(t, {})];
  t.match(one, { 'service.name': 'gateway', 'service.version': readVersion() });
  t.match(one[ID], /^[0-9a-f-]{36}$/);
  t.not(one[ID], other[ID], 'each process has an id of its own');
  t.notMatch(Object.keys(one).join(' '), /process|host|os\./);
  t.end();
});

void t.test(
  'OTEL_SERVICE_NAME goes before OTEL_RESOURCE_ATTRIBUTES, and that before our own',
  (t) => {
    const OTEL_RESOURCE_ATTRIBUTES = `service.name=edge,${ID}=one,service.namespace=a%2Cb`;
    t.match(attributes(t, { OTEL_RESOURCE_ATTRIBUTES }), {
      'service.name': 'edge',
      [ID]: 'one',
      'service.namespace': 'a,b',
      'service.version': readVersion(),
    });
    const both = { OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME: 'named' };
    t.match(attributes(t, both), { 'service.name': 'named', [ID]: 'one' });
    t.match(attributes(t, { OTEL_SERVICE_NAME: '' }), { 'service.name': 'gateway' });
    t.end();
  },
);

function attributes(t: Test, environment: Record<string, string>) {
  const before = { ...process.env };
  Object.assign(process.env, environment);
  t.teardown(() => (process.env = before));
  const found = createResource('gateway').attributes;
  process.env = before;
  return found;
}
