import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import t from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { startBareServer } from './bare-server.ts';

const ACK_WAIT_MS = 3_000;

/*
 * What counter/settle/may-purge.ts is for. Where this fails, the server is mended: once the oldest version
 * that a mesh takes (nats/server-version.ts) is, may-purge.ts can go.
 */
void t.test('a purge makes messages that wait for redelivery wait a second ack_wait', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const settings = join(folder, 'nats.conf');
  writeFileSync(settings, `jetstream { store_dir: "${join(folder, 'store')}" }\n`);
  const connection = await connectToNats({
    url: await startBareServer(t, settings),
    role: 'provisioner',
    // It starts.
    onRetry: () => undefined,
  });
  t.teardown(() => connection.close());
  const manager = await jetstreamManager(connection);
  const client = jetstream(connection);
  await manager.streams.add({
    name: 'QUEUE',
    subjects: ['queue'],
    retention: RetentionPolicy.Workqueue,
  });
  await manager.consumers.add('QUEUE', {
    durable_name: 'worker',
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ACK_WAIT_MS),
  });
  const consumer = await client.consumers.get('QUEUE', 'worker');
  const pull = async (count: number, waitMs: number) => {
    const sequences: number[] = [];
    const messages = await consumer.fetch({ max_messages: count, expires: waitMs });
    for await (const { seq } of messages) sequences.push(seq);
    return sequences;
  };

  for (let count = 0; count < 2; count++) await client.publish('queue', '');
  t.strictSame(await pull(2, 1_000), [1, 2]);
  const deliveredAt = performance.now();
  await delay(ACK_WAIT_MS + 200);
  await manager.streams.purge('QUEUE', { seq: 2 });
  t.strictSame(await pull(1, 1_000), [], 'the second, whose ack_wait is over, is not offered');
  t.strictSame(await pull(1, 2 * ACK_WAIT_MS), [2]);
  t.ok(performance.now() - deliveredAt > 1.9 * ACK_WAIT_MS, 'but after a second ack_wait');

  await delay(ACK_WAIT_MS + 200);
  t.strictSame(await pull(1, 1_000), [2], 'without a purge it is offered after one');
});
