import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const ITERATIONS = 4_096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** Of SASLprep (RFC 4013), the steps that change a password: spaces, what is dropped, and NFKC. */
const SPACES = /[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/g;
const DROPPED = /\u00AD|\u034F|\u1806|[\u180B-\u180D]|\u200C|\u200D|\u2060|[\uFE00-\uFE0F]|\uFEFF/g;

/**
 * What PostgreSQL stores in place of a password, in the form that `alter role … password` takes: so the
 * password itself is in no statement, and in no log of the server (RFC 5802 and 7677, and PostgreSQL's
 * scram_build_secret).
 *
 * @param salt random; given by tests only.
 */
export async function scramVerifier(
  password: string,
  salt: Buffer = randomBytes(SALT_BYTES),
): Promise<string> {
  const text = password.replace(SPACES, ' ').replace(DROPPED, '').normalize('NFKC');
  const salted = await promisify(pbkdf2)(text, salt, ITERATIONS, KEY_BYTES, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
