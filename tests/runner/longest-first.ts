/**
 * What takes longest, so that nothing long is left when all else is done. Each has a process of its
 * own; those that mostly wait are beside those that compute.
 */
const LONGEST = [
  'tests/end-to-end/restore.test.ts',
  'tests/torture/torture.test.ts',
  'tests/system/console.system.ts',
  'tests/gateway/health/store.test.ts',
  'tests/mesh/local/start.test.ts',
  'tests/mesh/local/full-disk.test.ts',
  'tests/end-to-end/failover.test.ts',
  'tests/mesh/database/matrix.test.ts',
  'tests/gateway/limits/rate-limit.test.ts',
  'tests/end-to-end/purge.test.ts',
  'tests/mesh/local/cluster.test.ts',
  'tests/counter/parking/upgrade.test.ts',
  'tests/end-to-end/load.test.ts',
  'tests/end-to-end/crash.test.ts',
  'tests/gateway/limits/connections.test.ts',
  'tests/nats/roles.test.ts',
  'tests/gateway/limits/stalled-connections.test.ts',
  'tests/end-to-end/outage.test.ts',
  'tests/end-to-end/killed-counter.test.ts',
];

export function longestFirst(files: string[]): string[] {
  const rank = (file: string) => {
    const place = LONGEST.indexOf(file);
    return place < 0 ? LONGEST.length : place;
  };
  return [...new Set(files)].toSorted((left, right) => rank(left) - rank(right));
}
