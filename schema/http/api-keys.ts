import { Type, type Static } from 'typebox';

/** What a route asks for: `write` to increment, `read` to read, `operate` to act on the mesh. */
export const Scope = Type.Union([
  Type.Literal('write'),
  Type.Literal('read'),
  Type.Literal('operate'),
]);
export type Scope = Static<typeof Scope>;

/** What `operate` was called before; files may have it. */
const FormerScope = Type.Literal('admin');

/** The scope as routes know it. */
export function currentScope(scope: Scope | 'admin'): Scope {
  return scope === 'admin' ? 'operate' : scope;
}

/** As Date's toISOString writes it; the milliseconds may be left out. */
const Time = Type.String({
  pattern:
    '^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{3})?Z$',
});

/**
 * A key as the file has it: never the secret, only its SHA-256. While a secret is rotated its name has two
 * entries, one for each secret.
 */
export const ApiKey = Type.Object(
  {
    /** Identifies the client for idempotency and limits, so that a rotated secret keeps both. */
    name: Type.String({ pattern: '^[A-Za-z0-9._-]{1,64}$' }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    scopes: Type.Array(Type.Union([...Scope.anyOf, FormerScope]), { minItems: 1 }),
    /** Requests in a window, if this key has a limit of its own. */
    rate_limit_max: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
    /** When the secret was made; missing in entries of former versions. */
    created: Type.Optional(Time),
    /** From when on the secret is refused; missing if it never expires. */
    expires: Type.Optional(Time),
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
