import type { Mutation } from './mutation.ts';

/** What the torture must notice too, with no test but itself: node tests/torture/mutate.ts. */
export const TORTURE_MUTATIONS: Mutation[] = [
  {
    promise: 'nothing is acknowledged before it is committed',
    guarantee: 'All of it holds at once under seeded random faults',
    file: 'counter/flush/flush-loop.ts',
    find: 'const batch = buffer.startFlush();',
    replacement: `const batch = buffer.startFlush();
  for (const { reply } of batch.messages.values()) options.send(reply, '+ACK');`,
    tests: ['tests/end-to-end/crash.test.ts'],
  },
  {
    promise: 'what the ledger knows is not counted again',
    guarantee: 'Every 200 is counted exactly once',
    file: 'counter/flush/classify.ts',
    find: 'firsts.filter(({ id }) => !knownIds.has(id));',
    replacement: 'firsts;',
    also: [
      {
        file: 'counter/flush/classify.ts',
        find: '[...repeats, ...firsts.filter(({ id }) => knownIds.has(id))];',
        replacement: 'repeats;',
      },
    ],
    tests: ['tests/counter/flush/classify.unit.test.ts'],
  },
  {
    promise: 'the ledger is pruned by stream time',
    guarantee: 'The ledgers stay bounded and never forget',
    file: 'counter/maintenance/prune.ts',
    find: 'new Date(stream.unsettledSinceMs - LEDGER_KEPT_MS)',
    replacement: 'new Date(Date.now() - LEDGER_KEPT_MS)',
    tests: ['tests/counter/maintenance/prune.test.ts'],
  },
  {
    promise: 'idempotency keys are pruned by stream time',
    file: 'counter/maintenance/prune.ts',
    find: 'new Date(stream.unsettledSinceMs - options.idempotencyKeptMs)',
    replacement: 'new Date(Date.now() - options.idempotencyKeptMs)',
    tests: ['tests/counter/maintenance/prune.test.ts'],
  },
];
