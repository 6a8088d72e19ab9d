import { Type, type Static } from 'typebox';

/** Secrets whose last use a gateway reports: some 14 KB. */
export const KEY_USES_MAX = 500;

/** When secrets were last used, in minutes since 1970, by the first 16 digits of their SHA-256. */
export const KeyUses = Type.Record(
  Type.String({ pattern: '^[0-9a-f]{16}$' }),
  Type.Integer({ minimum: 0, maximum: 8_640_000_000_000_000 / 60_000 }),
  { maxProperties: KEY_USES_MAX },
);
export type KeyUses = Static<typeof KeyUses>;

export function useIdOf(sha256: string): string {
  return sha256.slice(0, 16);
}
