import { Type, type Static } from 'typebox';

/** An error as RFC 9457 defines it. `code` is stable and for programs, `detail` is for people. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  instance: Type.String(),
  code: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ detail: Type.String(), pointer: Type.String() }))),
});
export type Problem = Static<typeof Problem>;

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';
