import { Type, type Static } from 'typebox';
import { EXAMPLE_KEY, Key } from '../increment.ts';

const EXAMPLE = { key: EXAMPLE_KEY, value: '5', updated_at: '2026-11-23T08:47:44.642Z' };

/** A total, which can be larger than an int64. */
const Total = Type.String({ pattern: '^[0-9]{1,38}$', description: 'A decimal string' });

export const CounterParams = Type.Object({ key: Key });

/** A counter as `GET /counters/{key}` answers it. Values are decimal strings, as protobuf's JSON has them. */
export const Counter = Type.Object(
  {
    key: Key,
    value: Total,
    updated_at: Type.String({ format: 'date-time' }),
  },
  {
    title: 'Counter',
    description: 'The counter, at most ten seconds behind.',
    examples: [EXAMPLE],
  },
);
export type Counter = Static<typeof Counter>;

/** Keys in one look-up. */
const KEYS_MAX = 100;

export const CountersQuery = Type.Object(
  {
    key: Type.Array(Key, {
      minItems: 1,
      maxItems: KEYS_MAX,
      description: `1 to ${KEYS_MAX} keys, each in its own parameter \`key\``,
      examples: [[EXAMPLE_KEY]],
    }),
  },
  { additionalProperties: false },
);

/** The answer to a look-up of several keys, in the order of the request. */
export const Counters = Type.Object(
  {
    counters: Type.Array(
      Type.Object(
        {
          key: Key,
          value: Total,
          updated_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
        },
        { title: 'CounterOrZero' },
      ),
    ),
  },
  {
    title: 'Counters',
    description: 'The counters in the order of the request; one that is not counted is `"0"`.',
    examples: [{ counters: [EXAMPLE] }],
  },
);
