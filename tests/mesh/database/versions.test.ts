import { sql } from 'kysely';
import t from 'tap';
import { readBooks } from '../../../counter/maintenance/audit.ts';
import { provisionDatabase } from '../../../mesh/database/provision-database.ts';
import { DEFAULT_SCHEMA } from '../../../schema/database/database-names.ts';
import { withDatabaseUser } from '../../../schema/database/database-url.ts';
import { openOwner } from '../../../schema/database/migrate.ts';
import { countTen } from '../../support/count-ten.ts';
import { makeFormerTables } from '../../support/former-tables.ts';
import { POSTGRES_VERSIONS } from '../../support/postgres-versions.ts';
import { startServers } from '../../support/servers.ts';
import { ask, inDatabase, startBarePostgres } from '../../schema/database/bare-postgres.ts';

/** A counter, of which a part is carried. */
const FORMER_ROWS = [
  `insert into increments (key, value) values (gen_random_uuid(), 42)`,
  `insert into ledger values (gen_random_uuid(), 1, 2, now(), gen_random_uuid(), 1, 2)`,
  'insert into streams (incarnation, pruned_through, carried_total) values (1, 1, 40)',
];

for (const [version, find] of Object.entries(POSTGRES_VERSIONS)) {
  const binaries = await find();
  const name = `PostgreSQL ${version} counts, reads, moves tables of an earlier version and balances`;
  const skip = typeof binaries === 'string' ? binaries : false;
  await t.test(name, { skip }, async (t) => {
    if (typeof binaries === 'string') return;
    const servers = await startServers(t, { flushIntervalMs: 300 });
    const server = await startBarePostgres(t, [], binaries);
    const first = inDatabase(server.url, 'postgres');
    await ask(first, "create role plain login createrole password 'plain'");
    await ask(first, 'create database theirs owner plain');
    const ownerUrl = withDatabaseUser(inDatabase(server.url, 'theirs'), 'plain', 'plain');
    await makeFormerTables(ownerUrl, { gateway: 'former', counter: 'former' });
    await ask(ownerUrl, ...FORMER_ROWS);

    const options = {
      ownerUrl,
      serviceUrls: undefined,
      passwords: { gateway: 'gw', counter: 'ct', reader: 'rd' },
    };
    const urls = await provisionDatabase(options);
    t.strictSame(await provisionDatabase(options), urls, 'it can be repeated');
    t.match(urls.counter, 'mesh_counter:', 'its roles are kept');
    await countTen(t, servers, urls);

    const owner = openOwner(ownerUrl, DEFAULT_SCHEMA);
    t.teardown(() => owner.destroy());
    t.strictSame(await readBooks(owner), { counted: '52', booked: '52', difference: '0' });
    const { rows } = await sql<{ version: string }>`
      select current_setting('server_version') as version`.execute(owner);
    t.match(rows[0]?.version, new RegExp(`^${version}[.]`));
    t.strictSame(await ask(urls.reader, 'select value from increments where value = 42'), [
      { value: '42' },
    ]);
  });
}
