import type { Increment } from './book.ts';
import type { Random } from '../support/random.ts';

/** What a request has beside its address. */
export interface Content {
  body: string;
  headers?: Record<string, string>;
}

/**
 * A request that must be answered 400, however the mesh is doing, and never be counted; one mistake
 * away from adding the increment.
 */
export function makeBadRequest({ key, value }: Increment, random: Random): Content {
  const good = `{"key":"${key}","value":${value}}`;
  return random.pick<() => Content>([
    () => ({ body: `{"key":"${key}","value":"${value}.0"}` }),
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

/** A batch of which one item is bad, or its end is missing. */
export function makeBadBatch(increments: Increment[], random: Random): Content {
  const items = increments.map(({ key, value }) => `{"key":"${key}","value":${value}}`);
  const bad = random.between(0, items.length - 1);
  const spoiled = items.with(bad, items[bad]?.replace('"value":', '"value":-') ?? '');
  return random.pick<() => Content>([
    () => ({ body: `[${spoiled.join(',')}]` }),
    () => ({ body: `[${items.join(',')}` }),
    () => ({
      body: spoiled.join('\n'),
      headers: { 'content-type': 'application/x-ndjson' },
    }),
  ])();
}
