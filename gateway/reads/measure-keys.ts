import { QUERY_KEYS_MAX } from '../../schema/http/counter.ts';
import { ProblemError } from '../errors/problem-details.ts';

/** What is parsed all the same, so that the answer can point at each fault. */
const STRAY_MAX = 200;
const SEPARATOR = /[,:[{]/g;

/**
 * A mebibyte holds half a million numbers, which would hold up every other request for most of a second; keys are
 * separated by at most so many characters.
 *
 * @throws ProblemError 400 for what can't be a list of keys.
 */
export function measureKeys(text: string): void {
  let found = 0;
  for (const _ of text.matchAll(SEPARATOR)) {
    if (++found <= QUERY_KEYS_MAX + STRAY_MAX) continue;
    const detail = `must be an object with "keys", of which there are ${QUERY_KEYS_MAX} at most`;
    throw new ProblemError('invalid-request', `Refused: body ${detail}.`, [
      { pointer: '', detail },
    ]);
  }
}
