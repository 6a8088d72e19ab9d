import { Type, type Static } from 'typebox';

/** Of a message's id. */
export const ID_RULE = 'must be the id that an accepted increment was answered with';

/** What the interface's documents show as a message. */
export const EXAMPLE_ID = '01a20796-d738-7798-9027-666dad60be1c';

/** The answer to an increment that is on disk: `id` names its message, `sequence` its place. */
export const Accepted = Type.Object(
  {
    accepted: Type.Integer(),
    id: Type.String(),
    sequence: Type.Integer(),
  },
  {
    description:
      'On disk. `id` names the message that holds it, `sequence` its place in the stream.',
    examples: [{ accepted: 1, id: EXAMPLE_ID, sequence: 1 }],
  },
);

export type Accepted = Static<typeof Accepted>;

/** A message's id, as an accepted increment is answered with it. */
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
      'Whether the ledger has the message. Where it has, `sequence` is its place in the stream and `stored_at` the time at which the stream took it.',
    examples: [
      { id: EXAMPLE_ID, committed: true, sequence: 1, stored_at: '2026-11-23T08:47:35.352Z' },
    ],
  },
);

export type Committed = Static<typeof Committed>;
