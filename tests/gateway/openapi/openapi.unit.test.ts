import t from 'tap';
import { Value } from 'typebox/value';
import { buildTestGateway } from '../test-gateway.ts';
import type { Document } from './document.ts';

void t.test('the OpenAPI document has an example for every request and answer', async (t) => {
  const { send } = await buildTestGateway(t);
  const document = JSON.parse((await send('/openapi.json')).body) as Document;
  t.equal(document.openapi, '3.1.0');
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const name = `${method} ${path}`;
      t.match(operation.operationId, /^\w+$/, `${name} has a name for programs`);
      const described = [
        ...(operation.parameters ?? []),
        ...Object.values(operation.requestBody?.content ?? {}),
        ...Object.values(operation.responses).flatMap(({ content }) => Object.values(content)),
      ];
      for (const each of described) {
        const examples = Object.values(each.examples ?? {}).map(({ value }) => value);
        if (each.example !== undefined) examples.push(each.example);
        t.ok(examples.length > 0, `${name} has examples`);
        const faults = examples.flatMap((example) => Value.Errors(each.schema, example));
        t.strictSame(faults, [], 'its examples are as documented');
      }
    }
  }
});
