import type { Increment } from './book.ts';
import type { Random } from './random.ts';

/** A request that must be answered 400, however the mesh is doing, and never be counted. */
export interface BadRequest {
  body: string;
  headers?: Record<string, string>;
}

/** Each is one mistake away from adding the increment. */
export function makeBadRequest({ key, value }: Increment, random: Random): BadRequest {
  const good = `{"key":"${key}","value":${value}}`;
  return random.pick<() => BadRequest>([
    () => ({ body: `{"key":"${key}","value":"${value}"}` }),
    () => ({ body: `{"key":"${key}","value":-${value}}` }),
    () => ({ body: `{"key":"${key}","value":${value}.0}` }),
    () => ({ body: `{"key":"${key}","value":0}` }),
    () => ({ body: `{"key":"${key}","value":9223372036854775808}` }),
    () => ({ body: `{"key":"${key}","value":null}` }),
    () => ({ body: `{"key":"${key}","value":${value},"extra":1}` }),
    () => ({ body: `{"key":"${key.slice(1)}","value":${value}}` }),
    () => ({ body: `{"key":"00000000-0000-0000-0000-000000000000","value":${value}}` }),
    () => ({ body: `[${good}]` }),
    () => ({ body: `${good}${good}` }),
    () => ({ body: good.slice(0, -1) }),
    () => ({ body: '' }),
    () => ({ body: good, headers: { 'idempotency-key': 'k'.repeat(256) } }),
    () => ({ body: good, headers: { 'idempotency-key': 'two words' } }),
  ])();
}
