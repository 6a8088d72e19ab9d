import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { moveStreams } from '../../mesh/files/move-streams.ts';
import { spawnDetached, stopProcess } from '../../mesh/servers/detached-process.ts';
import { findNatsServer } from '../../mesh/servers/find-nats-server.ts';
import { natsStopSteps, startNats } from '../../mesh/servers/nats.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { connectToNats } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { counterConsumer, deadLettersStream, incrementsStream } from '../../nats/streams.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { until } from '../support/until.ts';

const OPTIONS = { flushIntervalMs: 9_000 };

await t.test('what an earlier version stored in one account is found in ours', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const store = join(folder, 'nats');
  t.strictSame(moveStreams(store, false), { isMoved: false }, 'a new folder has none');
  await storeAsBefore(store);

  t.match(
    moveStreams(store, true).obstacle,
    /cluster in .* was made by an earlier version.*Accounts/,
  );
  t.strictSame(moveStreams(store, false), { isMoved: true });
  t.strictSame(moveStreams(store, false), { isMoved: false }, 'once');

  const port = await findFreePort();
  const nats = endWithUs(await startNats({ folder: store, port, passwords: PASSWORDS }));
  t.teardown(() => nats.stop());
  await provision({ url: nats.urls.provisioner, ...OPTIONS });
  const connection = await connectToNats({ url: nats.urls.inspector, role: 'inspector' });
  const manager = await jetstreamManager(connection, { checkAPI: false });
  for (const [stream, subject] of [
    ['INCREMENTS', 'increments.http'],
    ['INCREMENTS_DEAD', 'dead.increments.http'],
  ] as const) {
    const message = await manager.streams.getMessage(stream, { last_by_subj: subject });
    t.equal(message?.string(), 'kept', stream);
  }
  const { num_pending: waiting } = await manager.consumers.info('INCREMENTS', 'counter');
  t.equal(waiting, 1, 'and is still to be counted');
  await connection.close();
});

await t.test('streams of both versions are not mixed', (t) => {
  const store = t.testdir({ jetstream: { $G: { streams: {} }, STREAMS: {} } });
  t.match(
    moveStreams(store, false).obstacle,
    /has streams of an earlier version .* and of this one/,
  );
  t.end();
});

/** By a nats-server whose users have no account of their own. */
async function storeAsBefore(store: string): Promise<void> {
  mkdirSync(store);
  chmodSync(store, 0o700);
  const port = await findFreePort();
  const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', store];
  const server = endWithUs(await spawnDetached(await findNatsServer(), args, { stdio: 'ignore' }));
  const connection = await until('a broker', () =>
    connect({ servers: `127.0.0.1:${port}` }).catch(() => undefined),
  );
  const manager = await jetstreamManager(connection);
  await manager.streams.add(incrementsStream(OPTIONS));
  await manager.streams.add(deadLettersStream(OPTIONS));
  await manager.consumers.add('INCREMENTS', counterConsumer(OPTIONS));
  await jetstream(connection).publish('increments.http', 'kept');
  await jetstream(connection).publish('dead.increments.http', 'kept');
  await connection.close();
  await stopProcess(server, natsStopSteps);
}
