import { resolve } from 'node:path';
import t from 'tap';
import { judgePrivateFile, readPrivateFile } from '../../../schema/settings/private-file.ts';

const US = 1000;
const SAFE = { mode: 0o100600, uid: US };
const judge = (file: Partial<typeof SAFE>, folder = 0o40755) =>
  judgePrivateFile(
    '/etc/mesh/keys.json',
    { ...SAFE, ...file },
    {
      folders: [
        { path: '/etc/mesh', mode: 0o40755 },
        { path: '/srv/keys', mode: folder },
      ],
      us: US,
    },
  );

void t.test('a file with secrets that only we can change is taken without a word', (t) => {
  t.strictSame(judge({}), { warnings: [] });
  t.strictSame(judge({ uid: 0, mode: 0o100440 }), { warnings: [] }, "root's, for our group");
  t.strictSame(judge({}, 0o41777), { warnings: [] }, 'in a folder like /tmp');
  t.strictSame(judge({}, 0o40775), { warnings: [] }, 'in a folder of our group');
  t.end();
});

void t.test('one that others can change or replace is refused', (t) => {
  for (const mode of [0o100620, 0o100602, 0o100666]) {
    t.match(judge({ mode }).refusal, /changed by other users: chmod go-w \/etc\/mesh\/keys\.json$/);
  }
  t.match(judge({}, 0o40777).refusal, /replaced by other users: chmod o-w \/srv\/keys$/);
  t.end();
});

void t.test('one that belongs to others or that all can read has a warning', (t) => {
  t.match(judge({ uid: 33 }).warnings, [/belongs to user 33.*chown 1000 \/etc\/mesh\/keys\.json/]);
  t.match(judge({ mode: 0o100644 }).warnings, [/read by all users: chmod o-r/]);
  t.end();
});

void t.test('a secret in the place of the path of its file is not shown', (t) => {
  const seed = `SU${'A2'.repeat(28)}`;
  const pem = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG/SM49\n-----END PRIVATE KEY-----';
  for (const secret of [seed, 'eyJ0eXAiOiJKV1QifQ.eyJqdGkiOiJYIn0.c2ln', 't0ken'.repeat(5), pem]) {
    const { problem, ...rest } = readPrivateFile(resolve(secret));
    t.match(problem, /^the value looks like the secret itself: give the path/);
    t.notMatch(JSON.stringify(rest), secret.slice(0, 8));
  }
  for (const path of ['counter.creds', '/run/secrets/the-token-of-all-the-gateways', 'a/b'])
    t.match(readPrivateFile(resolve(path)).problem, `${path} can't be read: ENOENT`);
  t.end();
});
