import t from 'tap';
import { scramVerifier } from '../../../schema/database/scram-verifier.ts';

/** Of the example in RFC 7677: the user's password is "pencil". */
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');

void t.test('a verifier is what PostgreSQL makes of the password', async (t) => {
  t.equal(
    await scramVerifier('pencil', SALT),
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

void t.test('each has a salt of its own', async (t) => {
  t.not(await scramVerifier('pencil'), await scramVerifier('pencil'));
});

void t.test('ways to write the same password give the same verifier', async (t) => {
  const one = await scramVerifier('caf\u00e9 1', SALT);
  for (const other of ['cafe\u0301 1', 'caf\u00e9\u00a01', 'caf\u00e9\u00ad 1', 'ｃafé 1']) {
    t.equal(await scramVerifier(other, SALT), one, JSON.stringify(other));
  }
});
