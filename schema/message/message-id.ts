import { randomUUIDv7 } from 'node:crypto';

/** A UUID of version 7 for a time, in milliseconds since 1970. */
export function mintId(timeMs: number): string {
  const time = Math.trunc(timeMs).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}${randomUUIDv7().slice(13)}`;
}

/** The time, in milliseconds since 1970, at which a UUID of version 7 was made. */
export function mintedAt(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
