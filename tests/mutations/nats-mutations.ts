import type { Mutation } from './mutation.ts';

export const NATS_MUTATIONS: Mutation[] = [
  {
    promise: 'a counter service answers a clear nowhere but in the inbox of a gateway',
    file: 'nats/requests.ts',
    find: 'if (!inboxes.some((inbox) => message.reply?.startsWith(inbox))) return;',
    replacement: '',
    tests: ['tests/nats/other-nats.test.ts'],
  },
  {
    promise: 'what the broker acknowledges is synced',
    guarantee: "A 200 means that the increment is on the broker's disk",
    file: 'nats/server.conf',
    find: 'sync_interval: always',
    replacement: '',
    tests: ['tests/nats/durability.test.ts'],
  },
  {
    promise: 'a refusal says that nothing was stored only if no attempt is in doubt',
    file: 'nats/publisher.ts',
    find: 'LASTING.has(failure.failure) && !isInDoubt',
    replacement: 'LASTING.has(failure.failure)',
    tests: ['tests/nats/publisher.test.ts'],
  },
  {
    promise: 'all attempts to store a message share its id',
    file: 'nats/publisher.ts',
    find: "natsHeaders.set('Nats-Msg-Id', message.id)",
    replacement: "natsHeaders.set('Nats-Msg-Id', randomUUID())",
    tests: ['tests/nats/publisher.test.ts'],
  },
  {
    promise: 'no attempt starts after the deadline',
    file: 'nats/publisher.ts',
    find: 'const remainingMs = deadlineAt - performance.now();',
    replacement: 'const remainingMs = deadlineAt + 3_000 - performance.now();',
    tests: ['tests/nats/publisher.test.ts'],
  },
  {
    promise: 'what is in doubt at the deadline is not said to be stored nowhere',
    file: 'nats/publisher.ts',
    find: '  if (!isInDoubt)\n    return new NothingStored(',
    replacement: '  if (isInDoubt || !isInDoubt)\n    return new NothingStored(',
    tests: ['tests/nats/publisher.test.ts'],
  },
  {
    promise: 'no client can forge an acknowledgement',
    file: 'nats/publisher.ts',
    find: 'const token = randomUUID();',
    replacement: 'const token = String(pending.size + 1);',
    tests: ['tests/nats/publisher.test.ts'],
  },
  {
    promise: 'a full stream is known by the words of the broker',
    guarantee: 'A full stream is a 503, loses nothing and recovers.',
    file: 'nats/error-codes.ts',
    find: "return { failure: 'full', isNothingStored: true };",
    replacement: "return { failure: 'failed', isNothingStored: false };",
    tests: ['tests/nats/error-codes.unit.test.ts'],
  },
  {
    promise: 'a disk that fails proves nothing of what it stored',
    file: 'nats/error-codes.ts',
    find: "failure: error.err_code === STORE_FAILED ? 'failed' : 'away',\n    isNothingStored: false,",
    replacement:
      "failure: error.err_code === STORE_FAILED ? 'failed' : 'away',\n    isNothingStored: true,",
    tests: ['tests/nats/error-codes.unit.test.ts'],
  },
  {
    promise: 'a limit for each subject is named, since it drops increments',
    file: 'nats/settings.ts',
    find: "  { name: 'max_msgs_per_subject', needs: null, promise: KEPT, isLossy: true },\n",
    replacement: '',
    tests: ['tests/nats/settings.unit.test.ts'],
  },
  {
    promise: 'settings are compared by their values',
    file: 'nats/settings.ts',
    find: 'if (format(value) === format(needs)) return [];',
    replacement: 'if (value !== null || needs === null) return [];',
    tests: ['tests/nats/settings.unit.test.ts'],
  },
  {
    promise: 'provisioning takes back what others have set',
    guarantee: 'A setting of the stream that breaks a promise is taken back',
    file: 'nats/provision.ts',
    find: '{ ...asConfig(STREAM_NEEDS), ...incrementsStream(options) }',
    replacement: 'incrementsStream(options)',
    tests: ['tests/nats/provision.test.ts'],
  },
  {
    promise: 'what a stream can only get when it is made is refused',
    file: 'nats/provision.ts',
    find: 'refuseFaults(faults.filter(({ isFixed }) => isFixed === true));',
    replacement: '',
    also: [
      {
        file: 'nats/provision.ts',
        find: 'refuseFaults(findFaults(applied.config));',
        replacement: '',
      },
    ],
    tests: ['tests/nats/provision.test.ts'],
  },
  {
    promise: 'a setting that is changed while the mesh runs is named',
    file: 'counter/maintenance/watch-broker.ts',
    find: 'for (const text of found.keys()) if (!said.has(text)) log.error(text);',
    replacement: '',
    tests: ['tests/end-to-end/changed-settings.test.ts'],
  },
  {
    promise: 'streams are made as soon as all servers of a cluster are there',
    file: 'nats/retry-while-leaderless.ts',
    find: 'isWithoutPeers(cause) && ',
    replacement: 'cause === undefined && ',
    tests: ['tests/nats/cluster.test.ts'],
  },
  {
    promise: 'a cluster keeps each increment on three servers',
    guarantee: 'In a cluster of three any one server may die',
    file: 'nats/streams.ts',
    find: `    // For \`nats stream view\`, which can page through a work queue in no other way.
    allow_direct: true,
    ...(replicas !== undefined && { num_replicas: replicas }),`,
    replacement: '    allow_direct: true,\n    num_replicas: Math.min(1, replicas ?? 1),',
    tests: ['tests/nats/cluster.test.ts'],
  },
  {
    promise: 'a replica that is silent is no replica',
    file: 'nats/replica-state.ts',
    find: 'millis(active) > SILENCE_MS_MAX',
    replacement: 'millis(active) > Infinity',
    tests: ['tests/nats/replicas.unit.test.ts'],
  },
  {
    promise: 'a nats-server that no test was run with is refused',
    file: 'nats/server-version.ts',
    find: 'major === majorMin && minor < minorMin',
    replacement: 'major === majorMin && minor < 0',
    tests: ['tests/nats/server-version.unit.test.ts'],
  },
  {
    promise: 'who looks removes nothing',
    guarantee: 'Each role can do its work and no more',
    file: 'nats/roles.conf',
    find: '{ service: "$JS.API.STREAM.PURGE.INCREMENTS", accounts: [COUNTERS] }',
    replacement: '{ service: "$JS.API.STREAM.PURGE.INCREMENTS", accounts: [COUNTERS, PEOPLE] }',
    also: [
      {
        file: 'nats/roles.conf',
        find: '      { service: { account: STREAMS, subject: "$JS.API.STREAM.LIST" } }\n',
        replacement: `      { service: { account: STREAMS, subject: "$JS.API.STREAM.LIST" } }
      { service: { account: STREAMS, subject: "$JS.API.STREAM.PURGE.INCREMENTS" } }
`,
      },
    ],
    tests: ['tests/nats/roles.test.ts'],
  },
  {
    promise: 'a counter service stores no increments',
    file: 'nats/roles.conf',
    find: '{ service: "increments.http", accounts: [GATEWAYS], allow_trace: true }',
    replacement:
      '{ service: "increments.http", accounts: [GATEWAYS, COUNTERS], allow_trace: true }',
    also: [
      {
        file: 'nats/roles.conf',
        find: '            "mesh.heartbeat.counter"\n            "_R_.>"',
        replacement:
          '            "mesh.heartbeat.counter"\n            "increments.http"\n            "_R_.>"',
      },
      {
        file: 'nats/roles.conf',
        find: '      # Not used, but without it',
        replacement: `      { service: { account: STREAMS, subject: "increments.http" } }
      # Not used, but without it`,
      },
    ],
    tests: ['tests/nats/roles.test.ts'],
  },
  {
    promise: 'a stream stays the same one through restarts of its broker',
    file: 'nats/streams.ts',
    find: 'Number.isSafeInteger(kept) ? kept :',
    replacement: 'kept < 0 ? kept :',
    tests: ['tests/nats/provision.test.ts'],
  },
  {
    promise: 'services leave a frozen broker of a cluster for another one',
    guarantee: 'Services leave a broker of a cluster',
    file: 'nats/leave-silent-broker.ts',
    find: 'endConnection(connection);',
    replacement: '',
    tests: ['tests/nats/leave-silent-broker.test.ts'],
  },
  {
    promise: 'and whatever was sent to it that it has not read',
    file: 'nats/leave-silent-broker.ts',
    find: 'endConnection(connection);',
    replacement: 'void connection.reconnect();',
    tests: ['tests/nats/leave-silent-broker.test.ts'],
  },
  {
    promise: 'a broker that was just left is tried after the others',
    file: 'nats/connect.ts',
    find: 'reconnectToServer: findLeastRecentlyTried,',
    replacement: '',
    tests: ['tests/nats/leave-silent-broker.test.ts'],
  },
];
