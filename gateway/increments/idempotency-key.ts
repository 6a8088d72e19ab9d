import { ProblemError } from '../errors/problem-details.ts';

/** 1 to 255 visible ASCII characters, quoted as a structured-field string or bare. */
const BARE = /^[\x21\x23-\x7e][\x21-\x7e]{0,254}$/;
const QUOTED = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"$/;

/** Both forms, for the documentation; no longer than this. */
export const IDEMPOTENCY_KEY_PATTERN =
  '^(?:[!#-~][!-~]{0,254}|"(?:[!#-\\[\\]-~]|\\\\["\\\\]){1,253}")$';
export const IDEMPOTENCY_KEY_LENGTH_MAX = 255;

/**
 * Reads the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header); both forms of a key
 * are the same key.
 *
 * @throws ProblemError 400 where it is malformed or sent twice.
 */
export function readIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string') {
    if (BARE.test(header)) return header;
    const quoted = QUOTED.exec(header)?.[1];
    if (quoted !== undefined) return quoted.replace(/\\(.)/g, '$1');
  }
  throw new ProblemError(
    'invalid-idempotency-key',
    'Idempotency-Key must be one key of 1 to 255 visible ASCII characters, in quotes or bare.',
  );
}
