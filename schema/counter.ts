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
