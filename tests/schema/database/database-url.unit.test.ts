import { userInfo } from 'node:os';
import t from 'tap';
import {
  describeDatabaseUrl,
  formatDatabaseUrl,
  libpqSettings,
  parseDatabaseUrl,
  withDatabaseName,
  withDatabaseUser,
  type DatabaseAddress,
} from '../../../schema/database/database-url.ts';
import { problemsOf } from '../settings/problems-of.ts';

const PLAIN: DatabaseAddress = {
  servers: [{ host: 'db', port: 5432 }],
  database: 'increments',
  user: 'app',
  password: 's3cret',
  tls: { mode: 'disable', isDirect: false },
  needsPrimary: false,
  settings: {},
};
const socket = [{ host: '/run/pg', port: 5432 }];
const tls = (options: Partial<DatabaseAddress['tls']>) => ({
  tls: { mode: 'require' as const, isDirect: false, ...options },
});
const url = (parameters: string) => `postgres://app:s3cret@db/increments?${parameters}`;

/** Each as psql of PostgreSQL 18 reads it. */
const READ: Record<string, Partial<DatabaseAddress>> = {
  'postgres://app:s3cret@db:5432/increments': {},
  'postgresql://app:s3cret@db/increments': {},
  'postgres://app:s3cret@db:/increments?': {},
  'postgres://app@db/increments': { password: undefined },
  'postgres://db/increments': { user: userInfo().username, password: undefined },
  'postgres://increments:s3cret@db': { user: 'increments' },
  'postgres://increments:s3cret@db/': { user: 'increments' },
  'postgres://db/increments?user=app&password=s3cret': {},
  'postgres://not:this@db/increments?user=app&password=s3cret': {},
  'postgres://app:s3cret@not/this?host=db&dbname=increments': {},
  'postgres://app:s3cret@db/increments?user=not&user=app': {},
  'postgres:///increments?host=/run/pg&user=app&password=s3cret': { servers: socket },
  'postgres://app:s3cret@/increments?host=%2Frun%2Fpg': { servers: socket },
  'postgres://app:s3cret@%2Frun%2Fpg/increments': { servers: socket },
  'postgres://app:s3cret@%2Frun%2Fpg/increments?sslmode=require': { servers: socket },
  'postgres://app:s3cret@:5433/increments?host=/run/pg': {
    servers: [{ host: '/run/pg', port: 5433 }],
  },
  'postgres://app:s3cret@[::1]:5433/increments': { servers: [{ host: '::1', port: 5433 }] },
  'postgres://app:s3cret@[fe80::1%25eth0]/increments': {
    servers: [{ host: 'fe80::1%eth0', port: 5432 }],
  },
  'postgres://app:s3cret@/increments?host=::1': { servers: [{ host: '::1', port: 5432 }] },
  'postgres://a%40b:p%2F%3A%23%25+%20ä@db/my%20db': {
    user: 'a@b',
    password: 'p/:#%+ ä',
    database: 'my db',
  },
  'postgres://app:a:b@c#d@db/my db': { password: 'a:b@c#d', database: 'my db' },
  'postgres://db/increments?user=app&password=a+b%26c=d': { password: 'a+b&c=d' },
  'postgres://app:s3cret@one,two:5433,[::1]/increments': {
    servers: [
      { host: 'one', port: 5432 },
      { host: 'two', port: 5433 },
      { host: '::1', port: 5432 },
    ],
  },
  'postgres://app:s3cret@/increments?host=one,/run/pg&port=5433': {
    servers: [
      { host: 'one', port: 5433 },
      { host: '/run/pg', port: 5433 },
    ],
  },
  [url('target_session_attrs=read-write')]: { needsPrimary: true },
  [url('target_session_attrs=primary')]: { needsPrimary: true },
  [url('target_session_attrs=any')]: {},
  [url('connect_timeout=10')]: { connectTimeoutS: 10 },
  [url('application_name=our%20app')]: { applicationName: 'our app' },
  [url('options=-c%20Synchronous_Commit%3Dremote_apply%20--my-app.x%3Da%5C%20b%20-cjit=off')]: {
    settings: { synchronous_commit: 'remote_apply', 'my_app.x': 'a b', jit: 'off' },
  },
  [url('sslmode=disable')]: {},
  [url('sslmode=prefer')]: tls({ mode: 'prefer' }),
  [url('sslmode=allow')]: tls({ mode: 'allow' }),
  [url('sslmode=require')]: tls({}),
  [url('ssl=true')]: tls({}),
  [url('sslmode=require&uselibpqcompat=true&channel_binding=prefer')]: tls({}),
  [url('sslmode=require&sslrootcert=/ca.pem')]: tls({ mode: 'verify-ca', rootCertFile: '/ca.pem' }),
  [url('sslmode=verify-full')]: tls({ mode: 'verify-full' }),
  [url('sslrootcert=system')]: tls({ mode: 'verify-full' }),
  [url('sslmode=verify-full&sslrootcert=system')]: tls({ mode: 'verify-full' }),
  [url('sslmode=require&sslnegotiation=direct&sslcert=c&sslkey=k&sslpassword=p')]: tls({
    certFile: 'c',
    keyFile: 'k',
    keyPassword: 'p',
    isDirect: true,
  }),
  [url('client_encoding=UTF8&gssencmode=disable&keepalives=1&load_balance_hosts=disable')]: {},
  [url('fallback_application_name=x')]: {},
};

void t.test('each form of a database URL is read as libpq does', (t) => {
  for (const [text, expected] of Object.entries(READ)) {
    const address = parseDatabaseUrl(text);
    t.strictSame(address, { ...PLAIN, ...expected }, text);
    t.strictSame(parseDatabaseUrl(formatDatabaseUrl(address)), address, `${text}, written again`);
  }
  t.end();
});

const REFUSED: Record<string, RegExp> = {
  'mysql://app@db/increments': /is not of the form postgres:/,
  'host=db user=app': /is not of the form postgres:/,
  'postgres://app:123?s3cret=@db/increments': /it has a port and parameters, and no user/,
  'postgres://app:s3cret@/increments': /it has no host: write @localhost, or \?host=/,
  'postgres://app:s3cret@db:0/increments': /a port is a number from 1 to 65535/,
  'postgres://app:s3cret@db:65536/increments': /a port is a number from 1 to 65535/,
  'postgres://app:s3cret@one,two/increments?port=1,2,3': /it has 2 hosts and 3 ports/,
  'postgres://app:s3cret@@abstract/increments?host=@abstract': /its host is not understood/,
  'postgres://app:s3%cret@db/increments': /the password has a %/,
  'postgres://app:s3cret@db/incre%0Aments': /the name of the database has a control character/,
  [`postgres://app:s3cret@/x?host=/${'x'.repeat(100)}`]: /longer than 107 bytes/,
  [url('target_session_attrs=standby')]: /is standby: it must be read-write, primary or any/,
  [url('connect_timeout=0')]: /connect_timeout is 0: it must be 1 to 60 seconds/,
  [url('connect_timeout=61')]: /connect_timeout is 61/,
  [url('options=endpoint%3Dep-cool')]: /options must be of the form -c name=value/,
  [url('options=-B%20100')]: /options must be of the form -c name=value/,
  [url('sslmode=bogus')]: /sslmode is bogus: it must be disable, allow, prefer, require, verify-ca/,
  [url('sslmode=no-verify')]: /require encrypts and does not verify/,
  [url('ssl=1')]: /ssl must be true; better use sslmode/,
  [url('sslmode=require&sslrootcert=system')]: /sslrootcert=system takes sslmode=verify-full/,
  [url('sslmode=verify-ca')]: /sslmode=verify-ca takes sslrootcert/,
  [url('sslrootcert=/ca.pem')]: /take sslmode=require, verify-ca or verify-full/,
  [url('sslmode=require&sslcert=/c.pem')]: /sslcert and sslkey go together/,
  [url('sslnegotiation=direct')]: /sslnegotiation must be postgres; or direct, with sslmode/,
  [url('channel_binding=require')]: /channel_binding can't be done here: .*sslmode=verify-full/,
  [url('hostaddr=127.0.0.1')]: /hostaddr can't be done here: write the address in the place of/,
  [url('passfile=/x')]: /passfile can't be done here: write the password into the URL/,
  [url('service=mesh')]: /service can't be done here: write host, user, password/,
  [url('client_encoding=LATIN1')]: /client_encoding can't be done here: leave it out: it is UTF8/,
  [url('replication=database')]: /replication can't be done here: leave it out/,
  [url('pool_max_conns=10')]: /pool_max_conns can't be done here: leave it out/,
};

void t.test('what the client library can’t do is refused in one line, with what to do', (t) => {
  for (const [text, expected] of Object.entries(REFUSED)) {
    const problems = problemsOf(() => parseDatabaseUrl(text));
    t.equal(problems.length, 1, text);
    t.match(problems[0], expected, text);
    t.notMatch(problems[0], /s3%?cret/);
  }
  const both = problemsOf(() => parseDatabaseUrl(url('hostaddr=1.2.3.4&sslmode=bogus')));
  t.equal(both.length, 2);
  t.end();
});

void t.test('no part of a password is shown, whatever stands in it', (t) => {
  for (const secret of [
    's3cr/et',
    's3cr?et',
    's3cr?et=x',
    's3cr#et',
    's3cr%et',
    's3cr,et',
    '[s3cr',
    '1?s3cr=x',
  ]) {
    const text = `postgres://app:${secret}@db:5432/increments`;
    const shown = (() => {
      try {
        return describeDatabaseUrl(text);
      } catch (error) {
        return (error as Error).message;
      }
    })();
    t.notMatch(shown, /s3cr|et\b/, secret);
  }
  t.end();
});

void t.test('what is shown of a URL has no user, no password and no parameter', (t) => {
  const shown = {
    'postgres://app:s3cret@db/increments?options=-c%20x%3Dy': 'db:5432/increments',
    'postgres:///my%20db?host=/run/pg&user=app&password=s3cret': '/run/pg/.s.PGSQL.5432/my db',
    'postgres://app:s3cret@[::1]:1,two/increments': '[::1]:1,two:5432/increments',
  };
  for (const [text, expected] of Object.entries(shown)) {
    t.equal(describeDatabaseUrl(text), expected);
  }
  t.end();
});

void t.test('another user or database goes to the same servers in the same way', (t) => {
  const text =
    'postgres:///db?host=/run/pg&user=owner&password=s3cret&sslmode=require&connect_timeout=9';
  t.strictSame(parseDatabaseUrl(withDatabaseUser(text, 'mesh_gateway', 'a/b')), {
    ...parseDatabaseUrl(text),
    user: 'mesh_gateway',
    password: 'a/b',
  });
  t.notMatch(withDatabaseUser(text, 'mesh_gateway', 'a/b'), /owner|s3cret/);
  t.equal(parseDatabaseUrl(withDatabaseName(text, 'o/ther db')).database, 'o/ther db');
  t.equal(
    withDatabaseUser('postgres://db-is-the-owner:x@one', 'mesh_gateway', 'y'),
    'postgres://mesh_gateway:y@one:5432/db-is-the-owner',
  );
  t.end();
});

void t.test('psql gets the same by its own names', (t) => {
  const text =
    'postgres://u:p%20w@one,[::1]:1/my%20db?sslmode=verify-full&target_session_attrs=read-write';
  t.strictSame(libpqSettings(parseDatabaseUrl(text)), {
    host: 'one,::1',
    port: '5432,1',
    dbname: 'my db',
    user: 'u',
    password: 'p w',
    sslmode: 'verify-full',
    sslrootcert: 'system',
    // As read-write, psql would refuse a role that only reads.
    target_session_attrs: 'primary',
  });
  t.end();
});
