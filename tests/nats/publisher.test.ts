import t from 'tap';
import { spawnDetached, stopProcess } from '../../mesh/embedded/detached-process.ts';
import { natsStopSteps } from '../../mesh/embedded/nats.ts';
import { findNatsServer } from '../../mesh/embedded/nats-server-binary.ts';
import { findFreePort } from '../../mesh/embedded/ports.ts';
import { connectToNats, watchConnection } from '../../nats/connect.ts';
import { createPublisher } from '../../nats/publisher.ts';
import { endWithUs } from '../support/end-with-us.ts';

void t.test('an answer that is no acknowledgement costs an attempt, and no more', async (t) => {
  const port = await findFreePort();
  // Without roles, so that anyone may answer; and without a stream, so that nobody else does.
  const binary = await findNatsServer();
  const args = ['-a', '127.0.0.1', '-p', String(port)];
  const server = endWithUs(await spawnDetached(binary, args, { stdio: 'ignore' }));
  t.teardown(() => stopProcess(server, natsStopSteps));
  const url = `nats://127.0.0.1:${port}`;
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
