import { Type } from 'typebox';

export const Liveness = Type.Object({ status: Type.String() });

/** What `/readyz` says; with the database away increments are still accepted. */
export const Readiness = Type.Object({
  status: Type.String(),
  broker: Type.String(),
  database: Type.String(),
});
