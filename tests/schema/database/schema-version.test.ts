import { sql } from 'kysely';
import t from 'tap';
import { migrate } from '../../../schema/database/migrate.ts';
import { compareMigrations } from '../../../schema/database/schema-version.ts';
import { PASSWORDS } from '../../support/passwords.ts';
import { startServers } from '../../support/servers.ts';
import { launchService } from '../../support/services.ts';
import { until } from '../../support/until.ts';

const LATER = '999_from_the_future';

void t.test('what was run is compared with what this version has', (t) => {
  t.strictSame(compareMigrations(['1', '2'], ['1', '2']), { missing: [], unknown: [] });
  t.strictSame(compareMigrations(['1'], ['1', '2']), { missing: ['2'], unknown: [] });
  t.strictSame(compareMigrations(['1', '2', '3'], ['1', '2']), { missing: [], unknown: ['3'] });
  t.end();
});

void t.test(
  'tables of a later version are not migrated, and services say so in a line',
  async (t) => {
    const servers = await startServers(t);
    await sql`insert into kysely_migration values (${LATER}, 'now')`.execute(servers.database);
    const migrating = migrate({
      ownerUrl: servers.urls.ownerDatabase,
      passwords: { gateway: PASSWORDS.gateway, counter: PASSWORDS.counter },
    });
    await t.rejects(migrating, {
      name: 'LaterSchema',
      message: /^the tables are those of a later version \(999_from_the_future\).*rolling-back\)$/,
    });
    for (const [name, nats, database] of [
      ['gateway', servers.urls.nats.gateway, servers.urls.gatewayDatabase],
      ['counter', servers.urls.nats.counter, servers.urls.counterDatabase],
    ] as const) {
      const service = await launchService(t, name, {
        NATS_URL: nats,
        DATABASE_URL: database,
        PORT: '0',
      });
      await until(`the ${name}'s warning`, () =>
        service.log.some(({ msg }) => msg.startsWith('the tables are those of a later version')),
      );
      await until(`the ${name}`, () =>
        service.log.some(({ msg }) => msg === `the ${name} is ready`),
      );
    }
  },
);

void t.test(
  'a counter service waits for the migration of tables of an earlier version',
  async (t) => {
    const servers = await startServers(t);
    await sql`delete from kysely_migration where name like '003%'`.execute(servers.database);
    const counter = await launchService(t, 'counter', {
      NATS_URL: servers.urls.nats.counter,
      DATABASE_URL: servers.urls.counterDatabase,
    });
    await until('a warning', () =>
      counter.log.some(({ msg }) =>
        /tables are those of an earlier version, without 003_dead_letter_errors: run the/.test(msg),
      ),
    );
    t.notOk(counter.log.some(({ msg }) => msg === 'the counter is ready'));
  },
);
