import { Type, type Static } from 'typebox';

/** The rule for a message's id, as errors state it. */
export const ID_RULE = 'must be the id in the answer to an accepted increment';

/** The message in the examples of the API documentation. */
export const EXAMPLE_ID = '01a20796-d738-7798-9027-666dad60be1c';

/** The answer to an increment that is on disk. */
export const Accepted = Type.Object(
  {
    accepted: Type.Integer(),
    id: Type.String(),
    sequence: Type.Integer(),
  },
  {
    description:
      'On disk. `id` names the message that holds it, `sequence` its position in the stream.',
    examples: [{ accepted: 1, id: EXAMPLE_ID, sequence: 1 }],
  },
);

export type Accepted = Static<typeof Accepted>;

/** The path of a message, by its id. */
export const MessageParams = Type.Object({
  id: Type.String({
    pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
    description: ID_RULE,
    examples: [EXAMPLE_ID],
  }),
});

/** Whether the message of an accepted increment is committed to PostgreSQL. */
export const Committed = Type.Object(
  {
    id: Type.String(),
    committed: Type.Boolean(),
    sequence: Type.Union([Type.Integer(), Type.Null()]),
    stored_at: Type.Union([Type.String(), Type.Null()]),
  },
  {
    description:
      'Whether the ledger has the message and it is not parked. If so, `sequence` is its position in the stream and `stored_at` the time at which the stream stored it.',
    examples: [
      { id: EXAMPLE_ID, committed: true, sequence: 1, stored_at: '2026-11-23T08:47:35.352Z' },
    ],
  },
);

export type Committed = Static<typeof Committed>;
