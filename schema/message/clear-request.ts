import { Type, type Static } from 'typebox';
import { Key } from '../increment.ts';

/** What a gateway asks a counter service: JSON, over core NATS. */
export const ClearRequest = Type.Object({
  /** In lower case. */
  key: Key,
  /** The API key's name, or the address where authentication is off. */
  by: Type.String({ minLength: 1, maxLength: 128 }),
  request_id: Type.String({ minLength: 1, maxLength: 128 }),
  /** Nothing is begun after it: milliseconds since 1970 by the broker's clock. */
  deadline_ms: Type.Integer({ minimum: 0 }),
});
export type ClearRequest = Static<typeof ClearRequest>;

/** What a counter service answers. Only with `unknown` it may have cleared the counter without knowing it. */
export const ClearAnswer = Type.Union([
  Type.Object({
    outcome: Type.Literal('cleared'),
    /** What was there, a decimal string. */
    value: Type.String(),
    /** RFC 3339, by the database's clock. */
    cleared_at: Type.String(),
  }),
  Type.Object({
    outcome: Type.Union([
      Type.Literal('not-counted'),
      Type.Literal('too-many'),
      Type.Literal('late'),
      Type.Literal('locked'),
      Type.Literal('database-away'),
      Type.Literal('refused'),
      Type.Literal('unknown'),
    ]),
  }),
]);
export type ClearAnswer = Static<typeof ClearAnswer>;
