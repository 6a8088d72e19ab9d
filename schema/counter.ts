import { Type, type Static } from 'typebox';
import { Key } from './increment.ts';

export const CounterParams = Type.Object({ key: Key });

/** A counter as `GET /counters/{key}` answers it. Values are decimal strings, as protobuf's JSON has them. */
export const Counter = Type.Object({
  key: Type.String(),
  value: Type.String(),
  updated_at: Type.String(),
});
export type Counter = Static<typeof Counter>;

/** Keys in one look-up. */
const KEYS_MAX = 100;

export const CountersQuery = Type.Object(
  { key: Type.Union([Key, Type.Array(Key, { minItems: 1, maxItems: KEYS_MAX })]) },
  { additionalProperties: false },
);

/** The answer to a look-up of several keys, in the order asked; a key never counted is "0". */
export const Counters = Type.Object({
  counters: Type.Array(
    Type.Object({
      key: Type.String(),
      value: Type.String(),
      updated_at: Type.Union([Type.String(), Type.Null()]),
    }),
  ),
});
