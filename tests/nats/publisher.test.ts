import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { createPublisher } from '../../nats/publisher.ts';
import { provision } from '../../nats/provision.ts';
import { HTTP_SUBJECT } from '../../nats/streams.ts';
import { until } from '../support/until.ts';
import { startBareServer } from './bare-server.ts';

void t.test('an answer that is no acknowledgement costs an attempt, and no more', async (t) => {
  const url = await startBareServer(t);
  const gateway = await connectToNats({ url, role: 'gateway', onRetry: () => undefined });
  const stranger = await connectToNats({ url, role: 'counter' });
  t.teardown(() => Promise.all([gateway.close(), stranger.close()]));

  const answers = ['not json', 'null', '{}', '{"stream":"INCREMENTS","seq":7}'];
  stranger.subscribe('increments.http', {
    callback: (_error, message) => void message.respond(answers.shift() ?? ''),
  });
  await stranger.flush();
  const publisher = createPublisher(gateway, watchConnection(gateway));
  const message = { subject: 'increments.http', id: 'id', body: 'body' };
  t.strictSame(await publisher.publish(message, performance.now() + 10_000), { sequence: 7 });
});

void t.test(
  'a refusal says that nothing was stored, unless an earlier attempt is in doubt',
  async (t) => {
    const url = await startBareServer(t);
    const gateway = await connectToNats({ url, role: 'gateway', onRetry: () => undefined });
    const broker = await connectToNats({ url, role: 'counter' });
    t.teardown(() => Promise.all([gateway.close(), broker.close()]));
    const FULL = '{"error":{"err_code":10077,"description":"maximum bytes exceeded"}}';
    const SEALED =
      '{"error":{"err_code":10109,"description":"invalid operation on sealed stream"}}';
    const DISK = '{"error":{"err_code":10077,"description":"no space left on device"}}';
    let answers: string[] = [];
    const ids = new Set<string | undefined>();
    broker.subscribe('increments.http', {
      callback: (_error, message) => {
        ids.add(message.headers?.get('Nats-Msg-Id'));
        const answer = answers.shift() ?? '';
        // Stored, but the acknowledgement is lost.
        if (answer !== 'lost') message.respond(answer);
      },
    });
    await broker.flush();
    const publisher = createPublisher(gateway, watchConnection(gateway));
    const publish = (...given: string[]) => {
      answers = given;
      const message = { subject: 'increments.http', id: 'id', body: 'body' };
      return publisher.publish(message, performance.now() + 10_000);
    };
    await t.rejects(publish(FULL), { name: 'NothingStored', failure: 'full' });
    await t.rejects(publish(SEALED), { name: 'NothingStored', failure: 'refused' });
    const stored = '{"stream":"INCREMENTS","seq":7}';
    for (const doubtful of ['lost', 'not json', DISK]) {
      t.strictSame(await publish(doubtful, FULL, SEALED, stored), { sequence: 7 }, doubtful);
    }
    t.strictSame([...ids], ['id'], 'by which the stream drops the copies of all attempts');
  },
);

void t.test('what no server took in time is known not to be stored', async (t) => {
  const url = await startBareServer(t);
  const gateway = await connectToNats({ url, role: 'gateway', onRetry: () => undefined });
  t.teardown(() => gateway.close());
  const publisher = createPublisher(gateway, watchConnection(gateway));
  const message = { subject: 'increments.http', id: 'id', body: 'body' };
  const startedAt = performance.now();
  await t.rejects(publisher.publish(message, startedAt + 1_000), {
    name: 'NothingStored',
    failure: 'away',
  });
  t.ok(performance.now() - startedAt < 2_500, 'in time');
});

void t.test('an acknowledgement can not be forged by who knows the inbox', async (t) => {
  const url = await startBareServer(t);
  const gateway = await connectToNats({ url, role: 'gateway', onRetry: () => undefined });
  const attacker = await connectToNats({ url, role: 'gateway' });
  t.teardown(() => Promise.all([gateway.close(), attacker.close()]));
  const publisher = createPublisher(gateway, watchConnection(gateway));
  const message = { subject: 'increments.http', id: 'id', body: 'body' };

  const seen: string[] = [];
  attacker.subscribe('increments.http', {
    callback: (_error, { reply = '' }) => {
      seen.push(reply);
      // The first is acknowledged, and shows where acknowledgements go.
      if (seen.length === 1) attacker.publish(reply, '{"seq":1}');
    },
  });
  await attacker.flush();
  await publisher.publish(message, performance.now() + 10_000);
  const inbox = seen[0]?.slice(0, seen[0].lastIndexOf('.'));
  const forging = setInterval(() => {
    for (let guess = 1; guess <= 100; guess++) attacker.publish(`${inbox}.${guess}`, '{"seq":2}');
    attacker.publish(seen[0] ?? '', '{"seq":2}');
  }, 10);
  t.teardown(() => clearInterval(forging));
  await t.rejects(publisher.publish(message, performance.now() + 500), { name: 'PublishTimeout' });
  t.equal(new Set(seen).size, seen.length, 'none is used twice');
});

void t.test('the largest body that fits is what the broker takes, and no more', async (t) => {
  const folder = t.testdir();
  const settings = `max_payload: 32KB\njetstream { store_dir: "${join(folder, 'store')}" }\n`;
  writeFileSync(join(folder, 'nats.conf'), settings);
  const url = await startBareServer(t, join(folder, 'nats.conf'));
  const provisioned = () =>
    provision({ url, replicas: 1, flushIntervalMs: 9_000 }).then(
      () => true,
      () => false,
    );
  await until('a stream', provisioned);
  const connection = await connectToNats({ url, role: 'gateway' });
  t.teardown(() => connection.close());
  const publisher = createPublisher(connection, watchConnection(connection));
  t.equal(publisher.bodyBytesMax, 28_672);
  const body = 'x'.repeat(publisher.bodyBytesMax);
  const message = { subject: HTTP_SUBJECT, id: 'id', body };
  t.strictSame(await publisher.publish(message, performance.now() + 10_000), { sequence: 1 });
});
