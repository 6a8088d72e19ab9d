import { randomBytes } from 'node:crypto';

/** 128 bits. The letter in front keeps the NATS configuration from reading a number. */
export function generatePassword(): string {
  return `p${randomBytes(16).toString('hex')}`;
}
