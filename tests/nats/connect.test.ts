import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { until } from '../support/until.ts';

const INFO = { server_id: 'x', server_name: 'x', version: '2.14.5', proto: 1, max_payload: 1e6 };

void t.test('a connection that breaks while it is looked at is not left open', async (t) => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.write(`INFO ${JSON.stringify(INFO)}\r\n`);
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      if (data.includes('SUB ')) socket.destroy();
      else if (data.includes('PING')) socket.write('PONG\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await t.rejects(connectToNats({ url: `nats://127.0.0.1:${port}`, role: 'gateway' }), {
    name: 'CannotConnect',
  });
  const before = connections;
  // A client that is left alone reconnects every half a second; one that is closed may be at it.
  const again = until('another connection', () => connections > before + 1, undefined, 2_000);
  await t.rejects(again, 'none comes after the error');
});
