import { Type, type Static } from 'typebox';
import { EXAMPLE_KEY, Key, KEY_PATTERN } from '../increment.ts';

const EXAMPLE = { key: EXAMPLE_KEY, value: '5', updated_at: '2026-11-23T08:47:44.642Z' };
const COMPLETE_EXAMPLE = { complete_through: '2026-11-23T08:47:52.110Z', complete_sequence: 14 };

/** What every read says of itself. */
const COMPLETE = {
  complete_through: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description:
      "Every increment that was accepted before this time of the broker's clock is in the value; null until " +
      'a counter service has told',
  }),
  complete_sequence: Type.Union([Type.Integer(), Type.Null()], {
    description: 'Every increment with this `sequence` or a lower one is in the value',
  }),
};

const AT_LEAST = Type.Optional(
  Type.String({
    description:
      'Answer only when the counters are complete through this time (RFC 3339), or through the `sequence` ' +
      'of an answer; else 504. `Prefer: wait=10` waits up to so many seconds, 30 at most.',
    examples: ['14'],
    maxLength: 40,
  }),
);

export const CounterQuery = Type.Object({ at_least: AT_LEAST }, { additionalProperties: false });

/** A total, which can be larger than an int64. */
const Total = Type.String({ pattern: '^[0-9]{1,38}$', description: 'A decimal string' });

export const CounterParams = Type.Object({ key: Key });

/** A counter as `GET /counters/{key}` answers it. Values are decimal strings, as protobuf's JSON has them. */
export const Counter = Type.Object(
  {
    key: Key,
    value: Total,
    updated_at: Type.String({ format: 'date-time' }),
    ...COMPLETE,
  },
  {
    title: 'Counter',
    description: 'The counter, at most ten seconds behind.',
    examples: [{ ...EXAMPLE, ...COMPLETE_EXAMPLE }],
  },
);
export type Counter = Static<typeof Counter>;

/** The answer to `DELETE /counters/{key}`. */
export const Cleared = Type.Object(
  {
    key: Type.String(),
    value: Type.String({ description: 'What was there' }),
    cleared_at: Type.String({ description: "By PostgreSQL's clock" }),
    ...COMPLETE,
  },
  {
    title: 'ClearedCounter',
    description:
      'The counter is cleared. What is accepted and not counted yet is counted afterwards, from zero.',
    examples: [
      {
        key: EXAMPLE_KEY,
        value: '5',
        cleared_at: '2026-11-23T08:47:53.207Z',
        ...COMPLETE_EXAMPLE,
      },
    ],
  },
);

/** Keys in one look-up by `GET`, and by `POST`, whose body has more room. */
const KEYS_MAX = 100;
export const QUERY_KEYS_MAX = 10_000;
/** Counters in one answer of a list. */
const LIST_MAX = 1_000;
export const LIST_DEFAULT = 100;

export const CountersQuery = Type.Object(
  {
    key: Type.Optional(
      Type.Array(Key, {
        minItems: 1,
        maxItems: KEYS_MAX,
        description: `1 to ${KEYS_MAX} keys, each in its own parameter \`key\`; none to list all counters`,
        examples: [[EXAMPLE_KEY]],
      }),
    ),
    after: Type.Optional(
      Type.String({
        pattern: KEY_PATTERN,
        description: 'List the counters behind this key: the `next` of the answer before',
        examples: [EXAMPLE_KEY],
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIST_MAX,
        description: `How many counters are listed, ${LIST_DEFAULT} by default`,
        examples: [LIST_DEFAULT],
      }),
    ),
    at_least: AT_LEAST,
  },
  { additionalProperties: false },
);
export type CountersQuery = Static<typeof CountersQuery>;

const COUNTERS = {
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
  ...COMPLETE,
};

/** The answer to a look-up of several keys, in the order of the request. */
export const Counters = Type.Object(COUNTERS, {
  title: 'Counters',
  description: 'The counters in the order of the request; one that is not counted is `"0"`.',
  examples: [{ counters: [EXAMPLE], ...COMPLETE_EXAMPLE }],
});

/** The answer to a look-up, or a part of the list of all counters. */
const CountersOrPart = Type.Object({
  ...COUNTERS,
  next: Type.Optional(
    Type.Union([Type.String(), Type.Null()], {
      description: 'Of a list: the `after` of the next part, null at the end',
    }),
  ),
});

/** What all counters, as lines, end with: without it the answer was cut off. */
export interface LastLine {
  complete_through: string | null;
  complete_sequence: number | null;
  /** How many lines are before it. */
  counters: number;
}

export const NDJSON = 'application/x-ndjson';

/** What `GET /counters` answers: JSON, or lines for those who ask for them. */
export const CountersAnswer = {
  description:
    'With `key` the counters in the order of the request, one that is not counted as `"0"`; without, those ' +
    'behind `after` in the order of their keys.',
  content: {
    'application/json': {
      schema: CountersOrPart,
      example: { counters: [EXAMPLE], ...COMPLETE_EXAMPLE, next: EXAMPLE_KEY },
    },
    [NDJSON]: {
      schema: Type.String({
        description:
          'All counters, or those behind `after`, at one moment, a line each in the order of their keys. The ' +
          'last line says how complete they are and how many; without it the answer was cut off.',
      }),
      example: `${JSON.stringify(EXAMPLE)}\n${JSON.stringify({ ...COMPLETE_EXAMPLE, counters: 1 })}\n`,
    },
  },
};

/** The body of `POST /counters/query`. */
export const KeysBody = Type.Object(
  { keys: Type.Array(Key, { minItems: 1, maxItems: QUERY_KEYS_MAX }) },
  { additionalProperties: false, examples: [{ keys: [EXAMPLE_KEY] }] },
);
