/** The oldest PostgreSQL that is tested. */
const VERSION_MIN = 14;

/** @returns what to say of a server that is too old. */
export function findOldVersion(versionNumber: number): string | undefined {
  const version = Math.floor(versionNumber / 10_000);
  if (version >= VERSION_MIN) return undefined;
  return `PostgreSQL ${version} is too old: ${VERSION_MIN} is the oldest that works`;
}
