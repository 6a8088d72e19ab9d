import { Type, type Static } from 'typebox';
import { BATCH_INCREMENTS_MAX, DEAD_LETTER_REASONS } from '../message/envelope.ts';

/** The rule for a message's id, as errors state it. */
export const ID_RULE = 'must be the id in the answer to an accepted increment';

/** The message in the examples of the API documentation. */
export const EXAMPLE_ID = '01a20796-d738-7798-9027-666dad60be1c';

/** A place in the stream. JSON readers keep it exact. */
const Sequence = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** The answer to an increment that is on disk. */
export const Accepted = Type.Object(
  {
    accepted: Type.Integer({ minimum: 1, maximum: BATCH_INCREMENTS_MAX }),
    id: Type.String({ format: 'uuid' }),
    sequence: Sequence,
  },
  {
    title: 'Accepted',
    description:
      'On disk. `id` names the message that holds it, `sequence` its position in the stream.',
    examples: [{ accepted: 1, id: EXAMPLE_ID, sequence: 1 }],
  },
);

export type Accepted = Static<typeof Accepted>;

/** The path of a message, by its id. */
export const MessageParams = Type.Object({
  id: Type.String({
    format: 'uuid',
    pattern:
      '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$',
    description: ID_RULE,
    examples: [EXAMPLE_ID],
  }),
});

const count = (description: string) => Type.Integer({ minimum: 0, description });

/** What became of a message's increments. Those of several clients share a message, so these are numbers only. */
export const Outcome = Type.Object(
  {
    counted: count('Added to their counters'),
    repeated: count('Not added, since their Idempotency-Key was counted before'),
    dead_letters: Type.Array(
      Type.Object(
        {
          reason: Type.Enum([...DEAD_LETTER_REASONS], { type: 'string' }),
          count: Type.Integer({ minimum: 1 }),
        },
        { title: 'DeadLetterCount' },
      ),
      { description: 'Not added, and kept for an operator' },
    ),
  },
  { title: 'Outcome' },
);
export type Outcome = Static<typeof Outcome>;

/** What became of the message of an accepted increment. */
export const MessageStatus = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    committed: Type.Boolean({ description: 'Whether it is decided what is counted' }),
    parked: Type.Boolean({
      description:
        'Whether it waits for a newer counter service, and so for longer than ten seconds',
    }),
    sequence: Type.Union([Sequence, Type.Null()]),
    stored_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
    increments: Type.Union([Outcome, Type.Null()]),
  },
  {
    title: 'MessageStatus',
    description:
      'What became of a message. While it is not committed, `sequence`, `stored_at` and `increments` are null. ' +
      'One message may hold the increments of several clients, and `increments` counts all of them.',
    examples: [
      {
        id: EXAMPLE_ID,
        committed: true,
        parked: false,
        sequence: 1,
        stored_at: '2026-11-23T08:47:35.352Z',
        increments: {
          counted: 2,
          repeated: 1,
          dead_letters: [{ reason: 'idempotency-key-reused', count: 1 }],
        },
      },
    ],
  },
);

export type MessageStatus = Static<typeof MessageStatus>;
