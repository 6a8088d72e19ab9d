import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Supervised } from '../../../mesh/local/supervisor.ts';
import { restartOnChange } from '../../../mesh/local/restart-on-change.ts';
import { until } from '../../support/until.ts';

await t.test('code that does not start is tried on one service only', async (t) => {
  const project = t.testdir({ gateway: {}, counter: {}, nats: {}, schema: {}, telemetry: {} });
  const restarted: string[] = [];
  let isBroken = true;
  const service = (name: string) =>
    ({
      program: { name },
      async restart() {
        restarted.push(name);
        if (isBroken) throw new Error('a syntax error');
      },
    }) as unknown as Supervised;
  const services = { gateways: [service('gateway-1'), service('gateway-2')], counters: [] };
  const watchers = restartOnChange(services, () => {}, { project });
  t.teardown(() => watchers.forEach((watcher) => watcher.close()));

  writeFileSync(join(project, 'gateway', 'app.ts'), 'broken');
  await until('one restarted', () => restarted.length > 0);
  t.notOk(restarted.includes('gateway-2'));
  isBroken = false;
  writeFileSync(join(project, 'gateway', 'app.ts'), 'repaired');
  await until('all restarted', () => restarted.includes('gateway-2'));
});

await t.test('a changed source restarts the services that use it, one at a time', async (t) => {
  const project = t.testdir({ gateway: {}, counter: {}, nats: {}, schema: {}, telemetry: {} });
  const restarted: string[] = [];
  let atOnce = 0;
  let atOnceMax = 0;
  const service = (name: string) =>
    ({
      program: { name },
      async restart() {
        atOnce += 1;
        atOnceMax = Math.max(atOnceMax, atOnce);
        await new Promise(setImmediate);
        atOnce -= 1;
        restarted.push(name);
      },
    }) as unknown as Supervised;
  const watchers = restartOnChange(
    { gateways: [service('gateway-1'), service('gateway-2')], counters: [service('counter-1')] },
    () => {},
    { project },
  );
  t.teardown(() => watchers.forEach((watcher) => watcher.close()));

  writeFileSync(join(project, 'counter', 'notes.txt'), 'no source');
  writeFileSync(join(project, 'gateway', 'app.ts'), '1');
  await until('the gateways restarted', () => restarted.length >= 2);
  t.strictSame(restarted.slice(0, 2), ['gateway-1', 'gateway-2']);
  t.notOk(restarted.includes('counter-1'));

  writeFileSync(join(project, 'schema', 'int64.ts'), '1');
  await until('the counter restarted too', () => restarted.includes('counter-1'));
  t.strictSame(restarted.slice(-3), ['gateway-1', 'gateway-2', 'counter-1']);
  t.equal(atOnceMax, 1, 'the others serve meanwhile');
});
