import { createHash } from 'node:crypto';

/**
 * A key for a name, and for a period: the UUID of version 5 (RFC 9562) of the name in a namespace. The same name gives the same
 * key on every machine, so nobody has to store it.
 *
 * @param namespace a UUID of your own, made once, so that your names are nobody else's.
 * @param name what is counted, such as "signups/2026-11".
 */
export function nameKey(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex', 0, 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
