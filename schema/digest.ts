import { hash } from 'node:crypto';

/** 128 bits of SHA-256 in the form of a UUID: 16 bytes in PostgreSQL, fast to compare and to index. */
export function digest(data: string | Uint8Array): string {
  const hex = digestHex(data);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/**
 * All of SHA-256 in hexadecimal digits. The first half is what `digest` has; to write that takes as long as the
 * digest itself, which counts where there are tens of thousands.
 */
export function digestHex(data: string | Uint8Array): string {
  return hash('sha256', data);
}
