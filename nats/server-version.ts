/** The oldest that the tests were run with. Older ones also let an answer to a chosen subject purge a stream. */
const VERSION_MIN = [2, 14] as const;
export const SERVER_VERSION_MIN = VERSION_MIN.join('.');

/** @param version as in the server's greeting: `2.14.5`, `2.12.0-RC.1`. */
export function isOldServer(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = VERSION_MIN;
  return major < majorMin || (major === majorMin && minor < minorMin);
}

/** What is wrong with a nats-server of this version, and what to do; undefined if nothing is. */
export function refuseOldServer(version: string): string | undefined {
  if (!isOldServer(version)) return undefined;
  return `nats-server ${version} is too old: upgrade it to ${SERVER_VERSION_MIN} or later`;
}
