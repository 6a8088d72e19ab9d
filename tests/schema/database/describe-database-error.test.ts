import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import t from 'tap';
import { describeDatabaseError } from '../../../schema/database/describe-database-error.ts';
import { openDatabase } from '../../../schema/database/database.ts';
import { migrate } from '../../../schema/database/migrate.ts';
import { PASSWORDS } from '../../support/passwords.ts';
import { startServers } from '../../support/servers.ts';

const EMPTY = `empty-${randomUUID()}`;

/** What is wrong with a DATABASE_URL, and what to do about it. */
const MISTAKES: Record<string, [change: (url: URL) => void, says: RegExp]> = {
  'a wrong password': [
    (url) => void (url.password = 'wrong'),
    /^password authentication failed for user "mesh_counter"; check user and password in DATABASE_URL/,
  ],
  'no such database': [
    (url) => void (url.pathname = 'elsewhere'),
    /^database "elsewhere" does not exist; make the database, or correct its name in DATABASE_URL/,
  ],
  'nobody there': [
    (url) => void (url.port = '1'),
    /ECONNREFUSED.*; check host and port in DATABASE_URL/,
  ],
  'no tables': [
    (url) => void (url.pathname = EMPTY),
    /^relation "increments" does not exist; .*: run the migration \(`npm start` or `npm run/,
  ],
};

void t.test(
  'a migration that waits for a lock ends, and says how to find the session',
  async (t) => {
    const { urls, database } = await startServers(t);
    await database.transaction().execute(async (transaction) => {
      await sql`lock table kysely_migration_lock in share mode`.execute(transaction);
      const error: unknown = await migrate({
        // In place of 30 s.
        ownerUrl: `${urls.ownerDatabase}?options=-c%20lock_timeout%3D200ms`,
        passwords: { gateway: PASSWORDS.gateway, counter: PASSWORDS.counter },
      }).catch((reason: unknown) => reason);
      t.match(
        describeDatabaseError(error),
        /^canceling statement due to lock timeout; a session keeps a lock .*pg_stat_activity/,
      );
    });
  },
);

void t.test(
  'what PostgreSQL refuses is told with what to do, and without the password',
  async (t) => {
    const { urls, database: server } = await startServers(t);
    await sql`create database ${sql.id(EMPTY)} strategy file_copy`.execute(server);
    for (const [mistake, [change, says]] of Object.entries(MISTAKES)) {
      const url = new URL(urls.counterDatabase);
      change(url);
      const database = openDatabase(url.href, {
        name: 'test',
        connectionsMax: 1,
        queryTimeoutMs: 5_000,
        onBrokenConnection: () => undefined,
      });
      const error: unknown = await database
        .selectFrom('increments')
        .selectAll()
        .execute()
        .catch((reason: unknown) => reason);
      await database.destroy();
      t.match(describeDatabaseError(error), says, mistake);
      t.notMatch(describeDatabaseError(error), /wrong|:ct@/, mistake);
    }
  },
);
