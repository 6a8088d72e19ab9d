import t from 'tap';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { createPublisher } from '../../nats/publisher.ts';
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
