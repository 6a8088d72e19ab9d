import { Type } from 'typebox';

const oneOf = <Text extends string>(...texts: Text[]) =>
  Type.Union(texts.map((text) => Type.Literal(text)));

export const Liveness = Type.Object({ status: Type.Literal('ok') });

/** What `/readyz` says; with the database away increments are still accepted. */
export const Readiness = Type.Object({
  status: oneOf('ready', 'not ready', 'stopping'),
  broker: oneOf('connected', 'away'),
  stream: oneOf('ready', 'full', 'away'),
  database: oneOf('connected', 'away'),
});
