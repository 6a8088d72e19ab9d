import type { FastifyReply, FastifyRequest } from 'fastify';
import { NDJSON, type CountersQuery } from '../../schema/http/counter.ts';
import { ProblemError } from '../errors/problem-details.ts';

/** Makes a single key a list of one. */
export function listKeys(request: FastifyRequest, _reply: FastifyReply, next: () => void): void {
  const query = request.query as { key?: string | string[] };
  if (typeof query.key === 'string') query.key = [query.key];
  next();
}

/** Whether a client asks for lines by name; one that takes anything gets JSON. */
export function asksForLines(accept: string | undefined): boolean {
  return (accept ?? '')
    .split(',')
    .some((range) => range.split(';', 1)[0]?.trim().toLowerCase() === NDJSON);
}

/** What belongs to one way to read counters does not go with another. @throws ProblemError */
export function checkQuery(
  { key, after, limit }: Pick<CountersQuery, 'key' | 'after' | 'limit'>,
  isForLines: boolean,
): void {
  if (isForLines) {
    const kept = `does not go with Accept: ${NDJSON}, which answers all counters`;
    if (key !== undefined) throw refuse('key', kept);
    if (limit !== undefined) throw refuse('limit', kept);
  }
  if (key === undefined) return;
  const kept = 'does not go with key: ask for keys, or list the counters behind one';
  if (after !== undefined) throw refuse('after', kept);
  if (limit !== undefined) throw refuse('limit', kept);
}

function refuse(name: string, detail: string): ProblemError {
  return new ProblemError('invalid-request', `Refused: ${name} ${detail}.`, [
    { pointer: `/${name}`, detail },
  ]);
}

/** The rule of other bodies is that of an increment. @throws ProblemError */
export function refuseOtherBodies(
  { body }: FastifyRequest,
  _reply: FastifyReply,
  next: (error?: Error) => void,
): void {
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  const detail = 'must be an object with "keys"';
  const problem = new ProblemError('invalid-request', `Refused: body ${detail}.`, [
    { pointer: '', detail },
  ]);
  next(isObject ? undefined : problem);
}
