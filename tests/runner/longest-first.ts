/**
 * What takes longest, so that nothing long is left when all else is done. Each has a process of its
 * own; those that mostly wait are beside those that compute.
 */
const LONGEST = [
  'tests/end-to-end/restore.test.ts',
  'tests/system/console.system.ts',
  'tests/torture/torture.test.ts',
  'tests/mesh/local/start.test.ts',
  'tests/end-to-end/purge.test.ts',
  'tests/mesh/local/full-disk.test.ts',
  'tests/nats/roles.test.ts',
  'tests/gateway/limits/rate-limit.test.ts',
  'tests/schema/database/roles.test.ts',
  'tests/gateway/health/store.test.ts',
  'tests/gateway/limits/connections.test.ts',
  'tests/end-to-end/killed-counter.test.ts',
  'tests/gateway/limits/stalled-connections.test.ts',
  'tests/mesh/cli/dead-letters.test.ts',
  'tests/mesh/local/cluster.test.ts',
  'tests/counter/flush/separate.test.ts',
  'tests/schema/database/database-pool.test.ts',
  'tests/end-to-end/outage.test.ts',
  'tests/end-to-end/failover.test.ts',
  'tests/counter/consume/clock-ahead.test.ts',
  'tests/gateway/console/console.test.ts',
  'tests/nats/other-nats.test.ts',
  'tests/end-to-end/idempotency.test.ts',
  'tests/mesh/database/shared-server.test.ts',
];

export function longestFirst(files: string[]): string[] {
  const rank = (file: string) => {
    const place = LONGEST.indexOf(file);
    return place < 0 ? LONGEST.length : place;
  };
  return [...new Set(files)].toSorted((left, right) => rank(left) - rank(right));
}
