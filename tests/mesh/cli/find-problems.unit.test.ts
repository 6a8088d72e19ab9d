import t from 'tap';
import { findProblems } from '../../../mesh/cli/status/find-problems.ts';
import type { MeshStatus } from '../../../mesh/cli/status/mesh-status.ts';
import type { MeshFile } from '../../../mesh/local/mesh-file.ts';

const BROKER = {
  stream: {
    messages: 0,
    bytes: 0,
    bytesMax: 1_000,
    firstSequence: 1,
    lastSequence: 0,
    replicas: 1,
  },
  consumer: { undelivered: 0, ackPending: 0, redelivered: 0, pullsWaiting: 2 },
  deadLetters: { messages: 0, lastAt: null },
  replicas: [{ of: 'INCREMENTS', wanted: 1, current: 1, servers: [], behind: [] }],
  settings: [],
};
const service = (name: 'gateway' | 'counter', pid: number, stats: object = {}) =>
  ({
    name,
    id: '',
    version: '',
    started: '',
    stats: { pid, ...stats },
  }) as MeshStatus['services'][number];
const PROBLEM = { failure: 'refused', reason: 'the stream is sealed', remedy: 'make it again' };
const FINE = {
  services: [service('gateway', 1), service('counter', 2)],
  broker: BROKER,
  database: {
    version: '18',
    answerMs: 1,
    counters: 1,
    ledgerRows: 1,
    idempotencyKeys: 0,
    isEstimated: false,
    bytes: 1,
    parked: { messages: 0, version: null, since: null, bytes: 0, isFull: false },
  },
  stalenessMs: 10_000,
  disagreement: null,
};
const PARKED = {
  messages: 2,
  version: 3,
  since: '2026-01-01T00:00:00.000Z',
  bytes: 100,
  isFull: false,
};
const MESH = {
  gateways: [1, 3].map((pid) => ({ pid, url: '', metrics: '' })),
  counters: [{ pid: 2, metrics: '' }],
} as unknown as MeshFile;

const CASES: {
  when: string;
  is: Omit<MeshStatus, 'problems'>;
  mesh?: MeshFile;
  problems: string[];
}[] = [
  { when: 'all is well', is: FINE, problems: [] },
  {
    when: 'a dead letter waits',
    is: { ...FINE, broker: { ...BROKER, deadLetters: { messages: 1, lastAt: '' } } },
    problems: [
      '1 dead letter waits, uncounted: `npm run mesh -- dead-letters list` shows why; replay or purge them.',
    ],
  },
  {
    when: 'the stream does not store what gateways publish',
    is: {
      ...FINE,
      services: [
        service('gateway', 1, { store_problem: PROBLEM }),
        service('gateway', 3, { store_problem: PROBLEM }),
        service('counter', 2),
      ],
    },
    problems: [
      'Not stored by 2 gateways (pid 1, 3): the stream is sealed, so increments are refused with 503: make it again.',
    ],
  },
  {
    when: 'flushes fail, and the books did not balance',
    is: {
      ...FINE,
      services: [
        service('gateway', 1),
        service('counter', 2, { database_connected: false, audit_difference: -5 }),
        service('counter', 4, { database_connected: true, audit_difference: 0 }),
      ],
    },
    problems: [
      'Flushes fail in 1 counter service (pid 2): increments wait in the stream, uncounted; the log has the cause.',
      'The books did not balance at the last audit: run `npm run mesh -- audit`.',
    ],
  },
  {
    when: 'a server of the cluster is away',
    is: {
      ...FINE,
      broker: {
        ...BROKER,
        replicas: [
          {
            of: 'INCREMENTS',
            wanted: 3,
            current: 2,
            servers: ['nats-1', 'nats-2', 'nats-3'],
            behind: [{ name: 'nats-2', isAway: true }],
          },
          { of: 'INCREMENTS_DEAD', wanted: 3, current: 3, servers: [], behind: [] },
        ],
      },
    },
    problems: [
      'Not every replica is current: INCREMENTS 2 of 3 (nats-2 is away). The loss of another server could lose accepted increments: check that these servers run and reach the others.',
    ],
  },
  {
    when: 'clocks are wrong',
    is: {
      ...FINE,
      services: [
        service('gateway', 1, { host: 'a', clock_ahead_ms: -2_001 }),
        service('counter', 2, { host: 'b', clock_ahead_ms: 7_200_000 }),
        service('counter', 3, { host: 'c', clock_ahead_ms: 2_000 }),
      ],
    },
    problems: [
      "The clock of a, where a gateway (pid 1) runs, is 2.0 s behind the broker's: synchronize it.",
      "The clock of b, where a counter service (pid 2) runs, is 2 h 0 min ahead of the broker's: synchronize it.",
    ],
  },
  {
    when: 'nobody has stated that the brokers sync each message',
    is: {
      ...FINE,
      services: [service('gateway', 1, { is_sync_stated: false }), service('counter', 2)],
    },
    problems: [
      'Whether the brokers sync each message to disk is not stated, and they tell it no service: an increment that was answered 200 may be lost in a power cut of theirs. Set `jetstream { sync_interval: always }` in their configuration, then NATS_SYNC=always in that of the mesh.',
    ],
  },
  {
    when: 'messages are gone',
    is: { ...FINE, disagreement: '3 of the messages 1 to 3 left the stream' },
    problems: ['Nothing is counted: 3 of the messages 1 to 3 left the stream.'],
  },
  {
    when: 'a setting breaks a promise',
    is: { ...FINE, broker: { ...BROKER, settings: ['The stream INCREMENTS has max_age 1 s'] } },
    problems: ['The stream INCREMENTS has max_age 1 s.'],
  },
  {
    when: 'a gateway of the mesh does not answer',
    is: FINE,
    mesh: MESH,
    problems: ['Not answering: 1 of 2 gateways (pid 3).'],
  },
  {
    when: 'no service answers',
    is: { ...FINE, services: [] },
    problems: [
      'No gateway answers: increments are not accepted.',
      'No counter service answers: increments wait in the stream, uncounted.',
    ],
  },
  {
    when: 'an increment waits too long',
    is: { ...FINE, stalenessMs: 10_001 },
    problems: [
      "The oldest increment has waited for 10.0 s, longer than 10.0 s: counter services can't keep up, or one has just died.",
    ],
  },
  {
    when: 'the stream is nearly full',
    is: { ...FINE, broker: { ...BROKER, stream: { ...BROKER.stream, bytes: 800 } } },
    problems: ['The stream is 80 % full: once it is full, increments are refused with 503.'],
  },
  {
    when: 'the stream has room',
    is: { ...FINE, broker: { ...BROKER, stream: { ...BROKER.stream, bytes: 799 } } },
    problems: [],
  },
  {
    when: 'messages of a newer version are parked',
    is: { ...FINE, database: { ...FINE.database, parked: PARKED } },
    problems: [
      '2 messages of a newer version (up to 3) wait, uncounted: something newer publishes than the counter services understand. Upgrade counter services, and they are counted.',
    ],
  },
  {
    when: 'no more can be parked',
    is: {
      ...FINE,
      database: { ...FINE.database, parked: { ...PARKED, messages: 100_000, isFull: true } },
      stalenessMs: 60_000,
    },
    problems: [
      'The oldest increment has waited for 1 min 0 s, longer than 10.0 s: it may be of a newer version.',
      '100 000 messages or more of a newer version (up to 3) wait, uncounted: something newer publishes than the counter services understand. Upgrade counter services, and they are counted.',
      'There is no room to park more than 4.0 GiB of them: further ones stay in the stream, and 100 000 of these stop all counting.',
    ],
  },
  {
    when: 'the database is away',
    is: { ...FINE, database: { away: 'refused' }, stalenessMs: null },
    problems: ['The database is unreachable, so increments wait in the stream, uncounted: refused'],
  },
  {
    when: 'both servers are away',
    is: {
      services: [],
      broker: { away: 'gone' },
      database: { away: 'refused' },
      stalenessMs: null,
      disagreement: null,
    },
    problems: [
      'The broker is unreachable, so increments are refused with 503: gone',
      'The database is unreachable: refused',
    ],
  },
];

for (const { when, is, mesh, problems } of CASES) {
  void t.test(when, (t) => {
    t.strictSame(findProblems(is, mesh), problems);
    t.end();
  });
}
