import {
  mkdtempSync,
  chmodSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import {
  POSTGRES_LOG_FOLDER,
  POSTGRES_LOG_SETTINGS,
  removeOldLogs,
} from '../../../mesh/local/postgres-log.ts';
import { startNats } from '../../../mesh/servers/nats.ts';
import { findFreePort } from '../../../mesh/servers/ports.ts';
import { startPostgres } from '../../../mesh/servers/postgres.ts';
import { onDatabase } from '../../../schema/database/database.ts';
import { endWithUs } from '../../support/end-with-us.ts';
import { PASSWORDS } from '../../support/passwords.ts';
import { copyPostgresTemplate } from '../../support/postgres-template.ts';
import { until } from '../../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
chmodSync(folder, 0o755);
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
t.jobs = 2;

void t.test('the log of a broker has three files at most, and each line is whole', async (t) => {
  const ownLogFile = join(folder, 'nats', 'nats-server.log');
  const port = await findFreePort();
  const server = endWithUs(
    await startNats({
      folder: join(folder, 'nats'),
      ownLogFile,
      port,
      passwords: PASSWORDS,
      flags: ['--log_size_limit', '3000'],
    }),
  );
  t.teardown(() => server.stop());
  const files = () =>
    readdirSync(join(folder, 'nats')).filter((name) => name.startsWith('nats-server.log'));
  // Each is refused, which is a line of the log.
  const connect = () =>
    new Promise<void>((resolve) => {
      const socket = createConnection({ host: '127.0.0.1', port }, () => {
        socket.write('CONNECT {"user":"nobody","pass":"x"}\r\nPING\r\n');
      });
      socket.on('error', () => {}).resume();
      socket.once('close', () => resolve());
    });
  for (let count = 0; count < 100; count += 1) await connect();
  t.equal(files().length, 3);
  for (const name of files()) {
    const text = readFileSync(join(folder, 'nats', name), 'utf8');
    t.ok(text.length < 3_500, `${name} has ${text.length} bytes`);
    t.match(text, /^\[\d+\] .*\n$/s);
  }
  const said = readFileSync(join(folder, 'nats.log'), 'utf8');
  t.equal(said, '', 'and nothing goes to another one, which would grow');
});

void t.test('the log of PostgreSQL begins new files, and the oldest are removed', async (t) => {
  const options = {
    folder: join(folder, 'postgres'),
    port: await findFreePort(),
    password: PASSWORDS.superuser,
    settings: [...POSTGRES_LOG_SETTINGS, 'log_rotation_size=64kB'],
  };
  await copyPostgresTemplate(options.folder);
  const server = endWithUs(await startPostgres(options), 'SIGQUIT');
  t.teardown(() => server.stop());
  const logs = join(options.folder, POSTGRES_LOG_FOLDER);
  const text = 'x'.repeat(60_000);
  await onDatabase(server.url, { name: 'test', queryTimeoutMs: 10_000 }, async (db) => {
    const warn = sql`do ${sql.lit(`begin raise warning '${text}'; end`)}`;
    await until('a third file', async () => {
      await warn.execute(db);
      return readdirSync(logs).length >= 3;
    });
  });
  const names = readdirSync(logs).toSorted();
  const sizes = names.map((name) => statSync(join(logs, name)).size);
  // What another hand has put there is left alone.
  writeFileSync(join(logs, 'notes.log'), text);
  // The server may go on to write some lines; a whole file is 60 kB and more.
  removeOldLogs(logs, sizes.at(-1)! + sizes.at(-2)! + 10_000);
  t.strictSame(readdirSync(logs).toSorted(), ['notes.log', ...names.slice(-2)]);
  removeOldLogs(logs, 0);
  t.strictSame(
    readdirSync(logs).toSorted(),
    ['notes.log', ...names.slice(-1)],
    'the current one stays',
  );
});
