import { readFileSync } from 'node:fs';
import t from 'tap';
import { migrate } from '../../../schema/database/migrate.ts';
import { withDatabaseUser } from '../../../schema/database/database-url.ts';
import { ask, inDatabase, startBarePostgres } from './bare-postgres.ts';

const PAGE = new URL('../../../docs/backup-and-upgrade.md', import.meta.url);

await t.test(
  'tables that were moved back to public are brought to this version again',
  async (t) => {
    const server = await startBarePostgres(t);
    await ask(
      inDatabase(server.url, 'postgres'),
      "create role owner login createrole password 'owner'",
      'create database increments owner owner',
    );
    const ownerUrl = withDatabaseUser(inDatabase(server.url, 'increments'), 'owner', 'owner');
    const provision = () =>
      migrate({ ownerUrl, rolePrefix: 'mesh', passwords: { gateway: 'gw', counter: 'ct' } });
    await provision();
    await ask(
      ownerUrl,
      'insert into increment_mesh.increments (key, value) values (gen_random_uuid(), 7)',
    );

    const [, back = ''] =
      /^To go back, .*?^```sql\n(.*?)^```/ms.exec(readFileSync(PAGE, 'utf8')) ?? [];
    await ask(ownerUrl, back);
    t.strictSame(await ask(ownerUrl, 'select value::integer from public.increments'), [
      { value: 7 },
    ]);

    await provision();
    const counts = 'select value::integer from increment_mesh.increments';
    t.strictSame(await ask(ownerUrl, counts), [{ value: 7 }]);
    t.strictSame(await ask(ownerUrl, 'select from increment_mesh.cleared_counters'), []);
  },
);
