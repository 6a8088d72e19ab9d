import { UsageError } from '../errors.ts';

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `2h`, `3d` ago, or a time of ISO 8601, in milliseconds since 1970. @throws UsageError */
export function parseSince(text: string, nowMs = Date.now()): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return nowMs - Number(count) * UNIT_MS[unit]!;
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(ms)) return ms;
  throw new UsageError(
    `--since is ${JSON.stringify(text)}: give 90s, 10m, 2h or 3d, or a time such as 2026-11-27T09:00:00Z`,
  );
}
