import { spawnSync } from 'node:child_process';
import t from 'tap';

void t.test('a service that is set wrongly lists every problem in plain words and ends', (t) => {
  const environment = {
    NATS_URL: 'nats://gateway:sec%ret@host',
    DATABASE_URL: 'postgres://gateway:secret@host:99999/increments',
    LOG_LEVEL: 'loud',
    TRUST_PROXY: '1.2.3.4/99',
  };
  for (const service of ['gateway', 'counter']) {
    const { status, stderr } = spawnSync(process.execPath, [`${service}/main.ts`], {
      env: environment,
      encoding: 'utf8',
    });
    t.equal(status, 1);
    t.match(stderr, /^ {2}NATS_URL is not understood: .*% are written as .*%25/m);
    t.match(stderr, /^ {2}DATABASE_URL is not understood: .*a port is a number from 1 to 65535/m);
    t.match(stderr, /^ {2}LOG_LEVEL is "loud"/m);
    if (service === 'gateway')
      t.match(stderr, /^ {2}TRUST_PROXY is "1\.2\.3\.4\/99": .*10\.0\.0\.0\/8/m);
    t.notMatch(stderr, /sec%?ret|^ +at /m, 'no password and no stack');
  }
  t.end();
});
