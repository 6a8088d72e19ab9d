import t from 'tap';
import { provision } from '../../../nats/provision.ts';
import { checkDurability } from '../../../counter/startup/check-database.ts';
import { openDatabase } from '../../../schema/database/database.ts';
import { DEFAULT_SCHEMA } from '../../../schema/database/database-names.ts';
import { roleSettings } from '../../../schema/database/role-settings.ts';
import { startServers } from '../../support/servers.ts';
import { launchService } from '../../support/services.ts';
import { until } from '../../support/until.ts';

// Where the stores can't keep what a counter promises, it takes nothing from the stream.

void t.test('a counter refuses a PostgreSQL without fsync', async (t) => {
  const servers = await startServers(t, { postgresSettings: ['fsync=off'] });
  const counter = await launchService(t, 'counter', {
    NATS_URL: servers.urls.nats.counter,
    DATABASE_URL: servers.urls.counterDatabase,
  });
  const [line] = await until(
    'a line',
    () => counter.log.filter(({ level }) => level === 50).map(({ msg }) => msg),
    ({ length }) => length > 0,
  );
  t.match(line, /^PostgreSQL refuses .* \(PostgreSQL runs with fsync = off: .*Turn it on\)/);
  t.notOk(counter.log.some(({ msg }) => msg === 'the counter is ready'));
  t.equal(await counter.stop(), 0, 'it waits, and can be stopped meanwhile');
});

void t.test('a counter refuses sessions whose commits are not awaited', async (t) => {
  const servers = await startServers(t);
  const check = async (value: string) => {
    const url = `${servers.urls.counterDatabase}?options=-c%20synchronous_commit%3D${value}`;
    const database = openDatabase(url, {
      name: 'test',
      settings: roleSettings('counter', DEFAULT_SCHEMA),
      connectionsMax: 1,
      queryTimeoutMs: 5_000,
      onBrokenConnection: () => undefined,
    });
    await checkDurability(database).finally(() => database.destroy());
  };
  for (const value of ['off', 'local']) {
    await t.rejects(check(value), {
      name: 'UnsafeDatabase',
      message: new RegExp(
        `^synchronous_commit is ${value}; it must be on: take it out of the options`,
      ),
    });
  }
  for (const value of ['on', 'remote_write', 'remote_apply']) await t.resolves(check(value), value);
});

void t.test(
  'a counter refuses a consumer that would deliver again what it still holds',
  async (t) => {
    const servers = await startServers(t, { flushIntervalMs: 1_000 });
    const counter = await launchService(t, 'counter', {
      NATS_URL: servers.urls.nats.counter,
      DATABASE_URL: servers.urls.counterDatabase,
      FLUSH_INTERVAL_MS: '1001',
    });
    const said = () => counter.log.filter(({ level }) => level === 40).map(({ msg }) => msg);
    const [line] = await until('a warning', said, ({ length }) => length > 0);
    t.match(line, /the consumer's ack_wait is 4000 ms, .*FLUSH_INTERVAL_MS.* 1001/);

    const url = servers.urls.nats.provisioner;
    await provision({ url, replicas: 1, flushIntervalMs: 1_001 });
    const isReady = () => counter.log.some(({ msg }) => msg === 'the counter is ready');
    await until('it goes on by itself', isReady);
    t.equal(said().length, 1, 'said once');
  },
);
