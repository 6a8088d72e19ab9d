import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import t from 'tap';
import { readCounterConfig } from '../../counter/config.ts';
import { readMeshSettings } from '../../mesh/local/config.ts';
import { natsAccess } from '../../nats/access-settings.ts';
import { parseNatsUrl } from '../../nats/nats-url.ts';
import { makeFolder } from '../support/folders.ts';
import { makeAccount } from '../support/nats-accounts.ts';

const SEED = Buffer.from(nkeys.createUser().getSeed()).toString();
const REQUIRED = { NATS_URL: 'nats://host', DATABASE_URL: 'postgres://host/name' };

void t.test('a URL has a user, a token or nothing', (t) => {
  const parse = (url: string) => parseNatsUrl(url).credentials;
  t.equal(parse('nats://host'), undefined);
  t.strictSame(parse('nats://us%40er:pass%3Aword@host'), { user: 'us@er', pass: 'pass:word' });
  t.strictSame(parse('nats://s3cret@host'), { token: 's3cret' });
  t.strictSame(parseNatsUrl('nats://u:p@one, tls://u:p@[::1]:1,nats://three'), {
    servers: ['one:4222', '[::1]:1', 'three:4222'],
    credentials: { user: 'u', pass: 'p' },
    isTls: true,
  });
  t.throws(() => parse('nats://u:p@one,nats://u:other@two'), /same user and password$/);
  t.end();
});

void t.test('no problem of a URL shows what may be a secret', (t) => {
  for (const url of [
    `nats://${SEED}@host`,
    `nats://user:${SEED}@host`,
    `nats://${SEED}`,
    `nats://${SEED.toLowerCase()}:4222`,
  ]) {
    const failure = problemsOf({ NATS_URL: url });
    t.match(failure, /NATS_URL is not understood: .*NATS_NKEY_SEED_FILE/);
    t.notMatch(failure, new RegExp(SEED, 'i'));
  }
  const several = problemsOf({ NATS_URL: 'nats://t0p:s3cret@one,nats://other:s3cret@two' });
  t.match(several, /same user and password/);
  t.notMatch(several, /t0p|s3cret/);
  t.end();
});

void t.test('a secret in the place of its file is said, and not shown', (t) => {
  const names = ['NATS_CREDS_FILE', 'NATS_NKEY_SEED_FILE', 'NATS_TOKEN_FILE', 'NATS_CA_FILE'];
  for (const name of names) {
    const said = problemsOf({ NATS_URL: 'nats://host', [name]: SEED });
    t.match(said, `${name}: the value looks like the secret itself`);
    t.notMatch(said, SEED);
  }
  t.end();
});

void t.test(
  'settings that exclude each other, and every file that is wrong, are said at once',
  (t) => {
    const folder = makeFolder(t);
    const write = (name: string, content: string, mode = 0o600) => {
      writeFileSync(join(folder, name), content);
      chmodSync(join(folder, name), mode);
      return join(folder, name);
    };
    const problems = problemsOf({
      NATS_URL: 'nats://user:password@host',
      NATS_CREDS_FILE: write('short.creds', 'hidden'),
      NATS_NKEY_SEED_FILE: write('open.nk', SEED, 0o666),
      NATS_TOKEN_FILE: join(folder, 'absent'),
      NATS_CA_FILE: join(folder, 'absent.pem'),
      NATS_CERT_FILE: write('cert.pem', ''),
    });
    for (const line of [
      /NATS_URL with a user and NATS_CREDS_FILE and NATS_NKEY_SEED_FILE and NATS_TOKEN_FILE exclude/,
      /NATS_CERT_FILE and NATS_KEY_FILE go together/,
      /NATS_CREDS_FILE: .*short\.creds must have the JWT of a user and its seed/,
      /NATS_NKEY_SEED_FILE: .*open\.nk can be changed by other users: chmod go-w/,
      /NATS_TOKEN_FILE: .*absent can't be read: ENOENT/,
      /NATS_CA_FILE can't be read: ENOENT/,
    ]) {
      t.match(problems, line);
    }
    t.equal(problems.split('\n').length, 7, 'a line each');
    t.notMatch(problems, new RegExp(`hidden|password@|${SEED}`));
    t.end();
  },
);

void t.test('what is right is taken, each role its own file', (t) => {
  const folder = makeFolder(t);
  const creds = makeAccount(0).makeUser({ publish: [], subscribe: [] });
  writeFileSync(join(folder, 'counter.creds'), creds.replaceAll('\n', '\r\n'), { mode: 0o600 });
  const path = join(folder, '{role}.creds');
  const config = readCounterConfig({ ...REQUIRED, NATS_CREDS_FILE: path });
  t.strictSame(natsAccess(config), { secretFile: { kind: 'creds', path } });
  const mesh = () => readMeshSettings({ ...REQUIRED, NATS_CREDS_FILE: path });
  t.throws(mesh, /gateway\.creds.*provisioner\.creds|provisioner\.creds[^]*gateway\.creds/);
  t.end();
});

void t.test('names that would mix meshes are refused', (t) => {
  for (const name of ['orders', 'DEAD', 'MESH', 'ORDERS_DEAD', 'A.B', '1ST', 'A'.repeat(31)]) {
    t.match(problemsOf({ STREAM_NAME: name }), /STREAM_NAME is .*capital letters/, name);
  }
  t.throws(() => readMeshSettings({ STREAM_NAME: 'ORDERS' }), /for brokers at NATS_URL/);
  for (const prefix of ['a.*', '>', 'a..b', '.a', 'a b']) {
    t.match(problemsOf({ NATS_INBOX_PREFIX: prefix }), /NATS_INBOX_PREFIX is/, prefix);
  }
  t.end();
});

function problemsOf(environment: NodeJS.ProcessEnv): string {
  try {
    readCounterConfig({ ...REQUIRED, ...environment });
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
}
