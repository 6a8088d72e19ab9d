import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { natsContext } from '../../../mesh/local/client-files.ts';
import { meshNatsAccess, natsUrlsAt, readMeshSettings } from '../../../mesh/local/config.ts';
import { natsVariablesOf } from '../../../mesh/local/services.ts';
import { makeFolder } from '../../support/folders.ts';

const URL = 'nats://all@one,nats://two';

void t.test('npm start gives each service its own credentials', (t) => {
  const folder = makeFolder(t);
  for (const role of ['gateway', 'counter', 'provisioner', 'inspector']) {
    writeFileSync(join(folder, `${role}.token`), `token of ${role}`.replaceAll(' ', '-'), {
      mode: 0o600,
    });
  }
  const environment = {
    NATS_URL: 'nats://one,nats://two',
    NATS_TOKEN_FILE: join(folder, '{role}.token'),
    NATS_INBOX_PREFIX: '_MINE',
    NATS_JETSTREAM_DOMAIN: 'hub',
  };
  const settings = readMeshSettings(environment);
  t.match(natsVariablesOf('gateway', settings), {
    NATS_TOKEN_FILE: join(folder, 'gateway.token'),
    NATS_CREDS_FILE: undefined,
    NATS_INBOX_PREFIX: '_MINE',
    NATS_JETSTREAM_DOMAIN: 'hub',
  });
  const own = readMeshSettings({ ...environment, NATS_URL: '' });
  const variables = Object.values(natsVariablesOf('counter', own));
  t.ok(
    variables.every((value) => value === undefined),
    'and nothing of others to our own brokers',
  );

  const context = natsContext(environment.NATS_URL, 'inspector', meshNatsAccess(settings));
  t.match(JSON.parse(context), {
    url: 'nats://one:4222,nats://two:4222',
    token: 'token-of-inspector',
    inbox_prefix: '_MINE.inspector',
    jetstream_domain: 'hub',
  });
  t.end();
});

void t.test('services may have users of their own in NATS_URL', (t) => {
  const urls = natsUrlsAt(
    URL,
    readMeshSettings({ NATS_URL: URL, GATEWAY_NATS_URL: 'nats://g@one' }),
  );
  t.match(urls, { gateway: 'nats://g@one', counter: URL, provisioner: URL, inspector: URL });
  const context = (url: string, access = {}) => JSON.parse(natsContext(url, 'inspector', access));
  t.match(context('nats://ann:secret@one'), { url: 'nats://one:4222', user: 'ann' });
  t.match(context(URL), { url: 'nats://one:4222,nats://two:4222', token: 'all' });
  const secretFile = { kind: 'creds', path: '/mesh/{role}.creds' };
  t.match(context('nats://one', { secretFile }), { creds: '/mesh/inspector.creds' });
  t.end();
});

void t.test("brokers of npm start's own take no user of others", (t) => {
  for (const name of ['GATEWAY_NATS_URL', 'COUNTER_NATS_URL']) {
    t.throws(
      () => readMeshSettings({ [name]: URL }),
      /GATEWAY_NATS_URL and COUNTER_NATS_URL are for brokers at NATS_URL: set that too/,
    );
  }
  t.end();
});
