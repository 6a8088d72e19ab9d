import { Type, type Static } from 'typebox';

export const Scope = Type.Union([
  Type.Literal('write'),
  Type.Literal('read'),
  Type.Literal('admin'),
  Type.Literal('operate'),
]);
export type Scope = Static<typeof Scope>;

/** A key as the file has it: never the secret, only its SHA-256. */
export const ApiKey = Type.Object(
  {
    /** Identifies the client for idempotency and limits, so that a rotated secret keeps both. */
    name: Type.String({ pattern: '^[A-Za-z0-9._-]{1,64}$' }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    scopes: Type.Array(Scope, { minItems: 1 }),
    /** Requests in a window, if this key has a limit of its own. */
    rate_limit_max: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
  },
  { additionalProperties: false },
);
export type ApiKey = Static<typeof ApiKey>;

/** The file of API keys, written by `npm run mesh -- keys` and read again when it changes. */
export const ApiKeysFile = Type.Object(
  { keys: Type.Array(ApiKey, { maxItems: 10_000 }) },
  { additionalProperties: false },
);
export type ApiKeysFile = Static<typeof ApiKeysFile>;
