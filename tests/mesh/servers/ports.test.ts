import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { findFreePort, isPortFree, rememberPorts } from '../../../mesh/servers/ports.ts';

await t.test('a data folder keeps its ports while they are free', async (t) => {
  const file = join(t.testdir(), 'ports.json');
  const first = await rememberPorts(file, ['nats', 'postgres', 'gateway-1', 'gateway-2']);
  t.equal(new Set(Object.values(first)).size, 4, 'each has its own');
  const fewer = await rememberPorts(file, ['nats', 'postgres', 'gateway-1']);
  t.equal(fewer.nats, first.nats);
  t.strictSame(await rememberPorts(file, ['nats', 'postgres', 'gateway-1', 'gateway-2']), first);
});

await t.test('a port that another program took is replaced', async (t) => {
  const port = await findFreePort();
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  t.equal(await isPortFree(port), false);

  const file = join(t.testdir({ 'ports.json': JSON.stringify({ nats: port }) }), 'ports.json');
  t.not((await rememberPorts(file, ['nats'])).nats, port);
});

await t.test('a damaged file loses the old ports and nothing else', async (t) => {
  const file = join(t.testdir(), 'ports.json');
  writeFileSync(file, '{"nats": 4');
  t.match(await rememberPorts(file, ['nats']), { nats: Number });
});
