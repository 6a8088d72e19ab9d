import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { findPostgresAccount } from '../../../mesh/servers/postgres-account.ts';
import { startPostgres } from '../../../mesh/servers/postgres.ts';
import { inheritedEnvironment } from '../../support/inherited-environment.ts';

const isRoot = process.getuid?.() === 0;

await t.test('PostgreSQL keeps its promises through a kill', async (t) => {
  const folder = temporaryFolder(t, 0o711);
  const options = { folder: join(folder, 'data'), port: await findFreePort(), password: 'p1' };
  const first = await startPostgres(options);
  const url = first.url.replace(/\w+$/, 'postgres');
  const settings = await ask(
    url,
    `select name, setting from pg_settings
    where name in ('fsync', 'synchronous_commit', 'full_page_writes') and setting <> 'on'`,
  );
  t.strictSame(settings, [], 'a commit is on the disk');
  await ask(url, 'create table kept as select 42 as answer');

  first.kill('SIGKILL');
  t.equal((await first.exited).signal, 'SIGKILL');
  const second = await startPostgres(options);
  t.strictSame(await ask(url, 'select answer from kept'), [{ answer: 42 }]);
  await t.rejects(ask(url.replace(':p1@', ':p2@'), 'select 1'), { code: '28P01' });
  await second.stop();
  t.strictSame(await second.exited, { code: 0, signal: null });
});

await t.test('PostgreSQL starts whoever has the pid of one that was killed', async (t) => {
  const folder = temporaryFolder(t, 0o711);
  const options = { folder: join(folder, 'data'), port: await findFreePort(), password: 'p1' };
  await (await startPostgres(options)).stop();
  // It takes no notice of processes of other users.
  const account = await findPostgresAccount();
  const readPid = async (script: string) => {
    const stranger = spawn('sh', ['-c', script], { ...account });
    t.teardown(() => stranger.kill('SIGKILL'));
    const [pid] = (await once(stranger.stdout, 'data')) as [Buffer];
    return String(pid);
  };
  const locks = {
    'of a process': await readPid('echo $$; exec sleep 60'),
    'of a zombie': await readPid('true & echo $!; exec sleep 60'),
    'that was not written any more': '',
  };
  for (const [which, lock] of Object.entries(locks)) {
    writeFileSync(join(options.folder, 'postmaster.pid'), lock);
    const outcome = await startPostgres(options).then(
      (server) => server.stop().then(() => 'started'),
      (error: Error) => error.message,
    );
    t.equal(outcome, 'started', `a lock ${which}`);
  }
});

await t.test('a folder out of reach is named', { skip: !isRoot && 'only as root' }, async (t) => {
  const folder = temporaryFolder(t, 0o700);
  const start = startPostgres({ folder: join(folder, 'data'), port: 1, password: 'p1' });
  await t.rejects(start, {
    message: new RegExp(`can't enter ${folder},[^]*chmod o\\+x ${folder}`),
  });
});

await t.test('a user without a name is one line', { skip: !isRoot && 'only as root' }, (t) => {
  const folder = temporaryFolder(t, 0o777);
  const start = `import { startPostgres } from '${new URL('../../../mesh/servers/postgres.ts', import.meta.url).href}';
    await startPostgres({ folder: '${folder}/data', port: 1, password: 'p1' })
      .catch(({ name, message }) => process.stdout.write(name + ': ' + message));`;
  const { HOME: _, ...environment } = inheritedEnvironment();
  const line = execFileSync(process.execPath, ['--input-type=module', '-e', start], {
    uid: 54_321,
    gid: 54_321,
    encoding: 'utf8',
    env: environment,
  });
  t.match(line, /^StartError: PostgreSQL can't make its files .*54321.*DATABASE_URL=.*$/);
  t.end();
});

function temporaryFolder(t: Test, mode: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  chmodSync(folder, mode);
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function ask(connectionString: string, query: string): Promise<unknown[]> {
  const client = new Client({ connectionString });
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(query).finally(() => client.end());
  return rows;
}
