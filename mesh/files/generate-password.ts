import { randomBytes } from 'node:crypto';

/** 128 bits. The letter in front keeps NATS from reading a number in its configuration. */
export function generatePassword(): string {
  return `p${randomBytes(16).toString('hex')}`;
}
