import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { startPostgres } from '../../mesh/servers/postgres.ts';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { ask, inDatabase } from '../schema/database/bare-postgres.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { makeFormerTables } from '../support/former-tables.ts';
import { until } from '../support/until.ts';
import { increment, launchMesh, makeDataDir, startMesh, total } from '../mesh/mesh-process.ts';

const SMALL = { GATEWAYS: '1', COUNTERS: '1', FLUSH_INTERVAL_MS: '500' };
const PASSWORDS = { owner: 'p-owner', gateway: 'p-gateway', counter: 'p-counter' };
const KEY = randomUUID();

void t.test('a data folder whose owner was the superuser goes on', async (t) => {
  const dataDir = makeDataDir(t);
  await makeFormerData(dataDir);
  // The second start finds what the first one has made of it.
  for (const start of [1, 2]) {
    const mesh = await startMesh({ dataDir, environment: SMALL });
    const said = mesh.output();
    t.equal(said.includes('moved from the schema public'), start === 1, 'moved once');
    t.notMatch(said, /PostgreSQL: (?!the tables were moved)/, 'nothing is left to be revoked');
    t.notMatch(said, /do not balance/);
    t.equal(await total(mesh, KEY), String(41 + start), 'what was counted is there');
    t.equal(await increment(mesh, KEY, 1), 200);
    await until('the next total', async () => (await total(mesh, KEY)) === String(42 + start));

    const owner = mesh.describe().postgres.url;
    const roles = await ask(
      owner,
      `select rolname::text as name, rolsuper as super from pg_roles
      where rolname !~ '^pg_' order by rolname`,
    );
    const plain = ['mesh_counter', 'mesh_gateway', 'mesh_reader', 'owner'];
    t.strictSame(roles, [
      ...plain.map((name) => ({ name, super: false })),
      { name: 'postgres', super: true },
    ]);
    const tables = `select relowner::regrole::text as owner from pg_class
      where relnamespace = 'increment_mesh'::regnamespace and relkind = 'r' group by 1`;
    t.strictSame(await ask(owner, tables), [{ owner: 'owner' }], 'every table');
    const reader = readFileSync(join(dataDir, 'clients', 'pg_service.conf'), 'utf8');
    t.match(reader, /^user=mesh_reader$/m, 'psql looks as the reader');
    const [, password = ''] = /^password=(.*)$/m.exec(reader) ?? [];
    const readerUrl = withDatabaseUser(owner, 'mesh_reader', password);
    t.strictSame((await ask(readerUrl, 'table increments')).length, 1);

    mesh.child.kill('SIGTERM');
    await mesh.exited;
  }

  await t.test('but not without its passwords, which is said in a line', async (t) => {
    rmSync(join(dataDir, 'secrets.json'));
    const mesh = await launchMesh({ dataDir, environment: SMALL });
    await mesh.exited;
    t.match(
      mesh.output(),
      /PostgreSQL refuses the passwords of .+secrets\.json \(.*\): bring back/,
    );
    t.notMatch(mesh.output(), /^ +at /m, 'without a stack');
  });
});

/** As version 0.1.0 left it: PostgreSQL's first role is `owner`, and everything is its own. */
async function makeFormerData(dataDir: string): Promise<void> {
  mkdirSync(dataDir, { mode: 0o711 });
  writeFileSync(join(dataDir, 'secrets.json'), JSON.stringify({ postgres: PASSWORDS }));
  const port = await findFreePort();
  const server = endWithUs(
    await startPostgres({ folder: join(dataDir, 'postgres'), port, password: 'p-first' }),
  );
  const first = inDatabase(server.url, 'postgres');
  await ask(first, "create role renaming login superuser password 'p'");
  await ask(
    withDatabaseUser(first, 'renaming', 'p'),
    'alter role postgres rename to owner',
    `alter role owner password '${PASSWORDS.owner}'`,
  );
  const ownerUrl = withDatabaseUser(server.url, 'owner', PASSWORDS.owner);
  await ask(inDatabase(ownerUrl, 'postgres'), 'drop role renaming', 'create database increments');
  await makeFormerTables(ownerUrl, PASSWORDS);
  await ask(
    ownerUrl,
    `insert into increments (key, value) values ('${KEY}', 42)`,
    'insert into streams (incarnation, pruned_through, carried_total) values (1, 1, 42)',
  );
  await ask(ownerUrl, 'grant temporary on database increments to public');
  await server.stop();
}
