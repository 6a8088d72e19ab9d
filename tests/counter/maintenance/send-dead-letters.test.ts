import { jetstreamManager } from '@nats-io/jetstream';
import t from 'tap';
import { createDeadLetterSender } from '../../../counter/maintenance/send-dead-letters.ts';
import { connectToNats } from '../../../nats/connect.ts';
import { INCREMENTS } from '../../../nats/streams.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';
import { until } from '../../support/until.ts';

void t.test('a dead letter that is too large for the broker keeps no other back', async (t) => {
  const servers = await startServers(t);
  const { database } = servers;
  const streams = await openStreams(t, servers);
  const connection = await connectToNats({ url: servers.urls.nats.counter, role: 'counter' });
  t.teardown(() => connection.close());
  const bytesMax = connection.info?.max_payload ?? 0;
  // More than a page of each, and the small ones last.
  const letters = Array.from({ length: 40 }, (_, index) => ({
    id: `1-${index + 10}`,
    reason: 'not-json',
    subject: index === 20 ? `increments.${'long'.repeat(1_015)}` : 'increments.replay',
    sequence: String(index + 1),
    stored_at: new Date(index),
    payload: Buffer.from(index < 3 ? 'x'.repeat(bytesMax - 100) : 'small'),
  }));
  await database.insertInto('dead_letters').values(letters).execute();

  const send = createDeadLetterSender(database, connection);
  const readWaiting = () => database.selectFrom('dead_letters').select('id').execute();
  await send(() => true);
  const { length: left } = await readWaiting();
  t.ok(left > 0 && left < letters.length, `${left} wait for the next run`);
  await send();
  t.strictSame(await readWaiting(), []);
  const stored = await streams.readDeadLetters();
  t.equal(stored.length, letters.length);
  for (const { subject, originalSubject, originalSequence, payload, truncatedFrom } of stored) {
    const letter = letters[originalSequence - 1];
    t.equal(originalSubject, letter?.subject);
    t.equal(subject, `dead.${originalSubject}`.slice(0, 1_005));
    if (originalSequence > 3) t.strictSame([payload, truncatedFrom], ['small', '']);
    else {
      t.equal(truncatedFrom, String(bytesMax - 100));
      t.ok(payload.length > bytesMax - 1_000, `${payload.length} of it are kept`);
    }
  }
});

void t.test('letters that the broker can not take now are all kept', async (t) => {
  const servers = await startServers(t);
  const { database } = servers;
  const connection = await connectToNats({ url: servers.urls.nats.counter, role: 'counter' });
  const letter = { reason: 'not-json', subject: 'increments.replay', sequence: '1' };
  await database
    .insertInto('dead_letters')
    .values({ ...letter, id: '1-1', stored_at: new Date(), payload: Buffer.from('kept') })
    .execute();
  await connection.close();
  await t.rejects(createDeadLetterSender(database, connection)());
  t.equal((await database.selectFrom('dead_letters').selectAll().execute()).length, 1);
});

void t.test('a message of a foreign subject becomes a dead letter once', async (t) => {
  const servers = await startServers(t);
  const { database } = servers;
  const url = servers.urls.nats.provisioner;
  const provisioner = await connectToNats({ url, role: 'provisioner' });
  t.teardown(() => provisioner.close());
  const manager = await jetstreamManager(provisioner, { checkAPI: false });
  await manager.streams.update(INCREMENTS, {
    subjects: ['increments.>'],
    subject_transform: { src: 'increments.replay', dest: 'other' },
  });
  const streams = await openStreams(t, servers);
  await streams.store('not an envelope');
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });

  const stored = await until('a dead letter', streams.readDeadLetters, ({ length }) => length > 0);
  t.match(stored, [{ subject: 'dead.increments.foreign', originalSubject: 'other' }]);
  const waiting = () => database.selectFrom('dead_letters').select('id').execute();
  await until('none that waits', waiting, ({ length }) => length === 0);
  await until('a settled stream', servers.inspect, ({ messages }) => messages === 0);
  t.equal(await counter.stop(), 0);
  t.equal((await streams.readDeadLetters()).length, 1);
});
