import { randomUUIDv7 } from 'node:crypto';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import t from 'tap';
import { REPLAY_SUBJECT } from '../../nats/streams.ts';
import { encodeEnvelope, encodeIncrement } from '../../schema/message/envelope.ts';
import { makeKeys, untilCounted } from '../support/counters.ts';
import { shareCounter, shareServers } from '../support/shared-mesh.ts';

/** Servers store them as they come; client libraries refuse to read them. */
const BROKEN = ['no colon', 'a space: x', 'ключ: x', ': x', 'traceparent: not one'];

void t.test('headers that no client could read cost nothing', async () => {
  const { servers, streams } = await shareServers();
  await shareCounter();
  const [key = ''] = makeKeys(1);
  const encode = () => encodeEnvelope(randomUUIDv7(), [encodeIncrement({ key, value: 1 })]);
  await publishRaw(servers.urls.nats.provisioner, encode);
  await streams.store(encode());
  await untilCounted(servers.database, key, BROKEN.length + 1);
});

/** One message with each of the broken headers. */
async function publishRaw(url: string, encode: () => string): Promise<void> {
  const { hostname, port, username, password } = new URL(url);
  const socket = connect(Number(port), hostname);
  const options = { user: username, pass: password, headers: true, verbose: false };
  socket.write(`CONNECT ${JSON.stringify(options)}\r\n`);
  for (const line of BROKEN) {
    const headers = `NATS/1.0\r\n${line}\r\n\r\n`;
    const size = Buffer.byteLength(headers);
    const body = encode();
    socket.write(`HPUB ${REPLAY_SUBJECT} ${size} ${size + body.length}\r\n${headers}${body}\r\n`);
  }
  socket.write('PING\r\n');
  for await (const line of createInterface({ input: socket })) if (line === 'PONG') break;
  socket.destroy();
}
