import * as fc from 'fast-check';
import t from 'tap';
import { createMask, findSecrets, maskAll } from '../../../mesh/cli/doctor/mask-secrets.ts';
import { makeSecret } from '../../../mesh/cli/keys.ts';

void t.test('a secret is masked by its form, and what is beside it stays', (t) => {
  const mask = createMask([]);
  const seed = `SUAM${'A2B3'.repeat(13)}XY`;
  const jwt = 'eyJ0eXAiOiJKV1QifQ.eyJqdGkiOiJBIn0.c2lnbmF0dXJl';
  const lines: [string, string][] = [
    ['nats://gateway:s3cr3t@host:4222 is away', 'nats://gateway:***@host:4222 is away'],
    ['nats://s3cr3t@host:4222', 'nats://***@host:4222'],
    ['postgres://u:s3:cr/3t@x@db/increments', 'postgres://u:***@db/increments'],
    ['postgres://db/x?user=u&password=s3cr3t&a=b', 'postgres://db/x?user=u&password=***&a=b'],
    ['authorization: Bearer s3cr3t', 'authorization: Bearer ***'],
    ['{"authorization":"Basic czNjcjN0"}', '{"authorization":"Basic ***"}'],
    ['NATS_PASSWORD=s3cr3t npm start', 'NATS_PASSWORD=*** npm start'],
    ['{"password":"s3cr3t","a":1}', '{"password":"***","a":1}'],
    ['X-Api-Key: s3cr3t', 'X-Api-Key: ***'],
    [`by ${makeSecret().secret}.`, 'by ***.'],
    [`seed ${seed}`, 'seed ***'],
    [`jwt ${jwt}`, 'jwt ***'],
    [
      '-----BEGIN PRIVATE KEY-----\nMIIs3cr3t\n-----END PRIVATE KEY-----',
      '-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----',
    ],
    [
      'password authentication failed for user "owner"',
      'password authentication failed for user "owner"',
    ],
    [
      'key 86f1fe5b-6dc7-45cb-9837-9e84757f5246 has 7',
      'key 86f1fe5b-6dc7-45cb-9837-9e84757f5246 has 7',
    ],
    ['http://127.0.0.1:3000/readyz', 'http://127.0.0.1:3000/readyz'],
  ];
  for (const [line, masked] of lines) t.equal(mask(line), masked);
  t.end();
});

void t.test('a known secret is masked however it is quoted', (t) => {
  // What a URL, JSON and a person's eye take for the same.
  const text = fc.string({ unit: 'binary-ascii', minLength: 4, maxLength: 30 });
  const secret = text.filter((one) => one.trim().length > 3 && !'***'.includes(one));
  fc.assert(
    fc.property(secret, (secret) => {
      const environment = {
        A_PASSWORD: secret,
        NATS_URL: `nats://u:${encodeURIComponent(secret)}@h:1,nats://v:${encodeURIComponent(`${secret}2`)}@i:1`,
        DATABASE_URL: `postgres://h/d?password=${encodeURIComponent(`${secret}3`)}`,
      };
      const mask = createMask(findSecrets(environment));
      const line = {
        plain: `it is ${secret} or ${secret}2 or ${secret}3`,
        inUrl: encodeURIComponent(secret),
        nested: [{ json: JSON.stringify({ note: secret }) }],
      };
      const masked = maskAll(line, mask);
      const quoted = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)];
      return quoted.every(
        (one) =>
          !masked.plain.includes(one) &&
          !masked.inUrl.includes(one) &&
          !masked.nested[0]!.json.includes(one),
      );
    }),
  );
  t.end();
});
