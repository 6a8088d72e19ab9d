import t from 'tap';
import type {
  CounterActivity,
  CounterStats,
  GatewayStats,
} from '../../../schema/message/heartbeat.ts';
import { diagnose } from '../../../telemetry/diagnosis/diagnose.ts';
import {
  describeFinding,
  FINDINGS,
  type Finding,
  type FindingName,
} from '../../../telemetry/diagnosis/findings.ts';
import type { Observations, Service } from '../../../telemetry/diagnosis/observations.ts';

const ANSWERS = { state: 'answers', detail: '' } as const;

function gateway(
  stats: Partial<GatewayStats> = {},
  state: Partial<Pick<Service, 'silentMs' | 'isStopping' | 'process'>> = {},
): Service {
  const own = { pid: 11, host: 'here', increments_accepted: 0, messages_published: 0 };
  return {
    kind: 'gateway',
    instance: 'gateway-1',
    silentMs: 400,
    isStopping: false,
    ...state,
    stats: { ...own, responses: {}, increments_waiting: 0, ...stats },
  };
}

function counter(
  {
    instance = 'counter-1',
    stats = {},
    activity = {},
  }: {
    instance?: string;
    stats?: Partial<CounterStats>;
    activity?: Partial<CounterActivity>;
  } = {},
  state: Partial<Pick<Service, 'silentMs' | 'isStopping' | 'process'>> = {},
): Service {
  return {
    kind: 'counter',
    instance,
    silentMs: 400,
    isStopping: false,
    ...state,
    stats: {
      pid: 22,
      host: 'here',
      last_flush_ms: 20,
      oldest_held_ms: 100,
      ...stats,
    } as CounterStats,
    activity: { database_connected: true, ...activity } as CounterActivity,
  };
}

const well = (...services: Service[]): Observations => ({
  broker: ANSWERS,
  database: ANSWERS,
  services: services.length > 0 ? services : [gateway(), counter()],
  consumer: 'there',
  stalenessMs: 3_000,
});

interface Case {
  state: string;
  seen: Observations;
  /** All findings, the headline first. */
  finds: FindingName[];
  /** Of the headline as one line. */
  says?: RegExp;
}

const troubled = (kind: NonNullable<CounterActivity['database_problem']>['kind']) =>
  counter({
    activity: { database_connected: false, database_problem: { kind, detail: '42501: denied' } },
  });
const GONE = { silentMs: 4_000 };

const CASES: Case[] = [
  { state: 'all is well', seen: well(), finds: [] },
  {
    state: 'nobody was heard yet',
    seen: { broker: ANSWERS, services: undefined },
    finds: [],
  },
  {
    state: 'the broker is away: nobody is known to be gone',
    seen: {
      ...well(gateway(), counter({}, GONE)),
      broker: { state: 'away', detail: 'gateway-1 has no connection to it' },
      store: { failure: 'away', detail: '' },
      stalenessMs: undefined,
    },
    finds: ['BrokerAway'],
    says: /^The broker can not be reached \(gateway-1 has.*\)\. Increments are refused with 503\. See whether/,
  },
  {
    state: 'the broker is frozen: nobody is known to be gone',
    seen: {
      ...well(gateway(), counter({}, GONE)),
      store: { failure: 'broker-silent', detail: 'nothing for 4 s' },
    },
    finds: ['BrokerSilent'],
  },
  {
    state: 'the stream is full',
    seen: { ...well(), store: { failure: 'full', detail: 'maximum bytes exceeded' } },
    finds: ['StreamFull'],
  },
  {
    state: 'the stream is sealed, as another gateway reports',
    seen: well(
      gateway({ store_problem: { failure: 'refused', reason: 'it is sealed', remedy: '' } }),
      counter(),
    ),
    finds: ['StreamRefuses'],
    says: /gateway-1: it is sealed/,
  },
  {
    state: 'one counter service of two was killed',
    seen: well(
      gateway(),
      counter(),
      counter({ instance: 'counter-2' }, { ...GONE, process: 'died' }),
    ),
    finds: ['CounterGone'],
    says: /^Counter service counter-2 died \(counter-2 has not reported for 4\.0 s\)\. What it held is counted by the others/,
  },
  {
    state: 'the only counter service is frozen',
    seen: well(gateway(), counter({}, { ...GONE, process: 'frozen' })),
    finds: ['CounterGone'],
    says: /^Counter service counter-1 is frozen .* wait in the stream, uncounted/,
  },
  {
    state: 'a counter service elsewhere is silent',
    seen: well(gateway(), counter({}, GONE)),
    finds: ['CounterGone'],
    says: /is silent .*it died, is frozen, or is cut off from the broker/,
  },
  {
    state: 'a counter service that stopped is not gone',
    seen: well(gateway(), counter(), counter({}, { ...GONE, isStopping: true })),
    finds: [],
  },
  { state: 'no counter service was ever heard', seen: well(gateway()), finds: ['NoCounter'] },
  { state: 'no gateway was ever heard', seen: well(counter()), finds: ['NoGateway'] },
  {
    state: 'a gateway died',
    seen: well(gateway(), gateway({}, { ...GONE, process: 'died' }), counter()),
    finds: ['GatewayGone'],
    says: /The others accept increments/,
  },
  {
    state: 'a service that npm start has started does not answer',
    seen: {
      ...well(gateway()),
      missing: [
        {
          kind: 'counter',
          instance: 'counter-1',
          silentMs: Infinity,
          isStopping: false,
          process: 'died',
        },
      ],
    },
    finds: ['CounterGone'],
    says: /^Counter service counter-1 died \(counter-1 does not answer\)/,
  },
  { state: 'the consumer is gone', seen: { ...well(), consumer: 'gone' }, finds: ['ConsumerGone'] },
  {
    state: 'the consumer is paused, as a counter service reports',
    seen: well(
      gateway(),
      counter({
        activity: {
          counting_problem: 'The consumer is paused until then',
          counting_problem_kind: 'consumer-paused',
        },
      }),
    ),
    finds: ['ConsumerPaused'],
    says: /counter-1: The consumer is paused until then/,
  },
  {
    state: 'stream and database disagree',
    seen: { ...well(), disagreement: 'the stream goes back: do this' },
    finds: ['StoresDisagree'],
    says: /^The stream goes back: do this\./,
  },
  ...(
    [
      ['away', 'DatabaseAway'],
      ['silent', 'DatabaseSilent'],
      ['read-only', 'DatabaseReadOnly'],
      ['full', 'DatabaseFull'],
      ['denied', 'DatabaseDenied'],
      ['refuses', 'DatabaseRefuses'],
    ] as const
  ).map(([kind, name]): Case => ({
    state: `the database is ${kind}, and increments are late by it`,
    seen: { ...well(gateway(), troubled(kind)), stalenessMs: 20_000 },
    finds: [name],
    says: /counter-1: 42501: denied.* wait in the stream, uncounted/,
  })),
  {
    state: 'only some counter services reach the database',
    seen: well(gateway(), troubled('away'), counter({ instance: 'counter-2' })),
    finds: ['DatabaseAway'],
    says: /the others count/,
  },
  {
    state: 'only the gateway does not reach the database',
    seen: { ...well(), database: { state: 'away', detail: 'refused' } },
    finds: ['DatabaseAway'],
    says: /Counters can not be read from here/,
  },
  {
    state: 'increments are late, and flushes slow',
    seen: { ...well(gateway(), counter({ stats: { last_flush_ms: 4_000 } })), stalenessMs: 12_000 },
    finds: ['IncrementsStale', 'SlowFlush'],
    says: /waited for 12\.0 s; the last flush of counter-1 took 4\.0 s/,
  },
  {
    state: 'a counter service died, and what it held is late',
    seen: {
      ...well(
        gateway(),
        counter(),
        counter({ instance: 'counter-2' }, { ...GONE, process: 'died' }),
      ),
      stalenessMs: 12_000,
    },
    finds: ['CounterGone'],
  },
  {
    state: 'the stream is nearly full',
    seen: { ...well(), stream: { bytes: 85, bytesMax: 100 } },
    finds: ['StreamNearlyFull'],
    says: /^The stream is 85 % full/,
  },
  {
    state: 'a replica is lost',
    seen: { ...well(), replicasBehind: 'INCREMENTS 2 of 3 (nats-2 is away)' },
    finds: ['ReplicaLost'],
    says: /nats-2 is away/,
  },
  {
    state: 'a setting was changed',
    seen: { ...well(), settings: ['The stream has max_age 10 s'] },
    finds: ['SettingChanged'],
  },
  {
    state: 'the books do not balance',
    seen: well(gateway(), counter({ stats: { audit_difference: -1 } })),
    finds: ['AuditDifference'],
  },
  {
    state: 'a newer publisher is at work',
    seen: { ...well(), parked: { messages: 3, version: 2, isFull: false } },
    finds: ['MessagesParked'],
    says: /^A newer publisher is at work.*3 messages, of a version up to 2/,
  },
  {
    state: 'dead letters wait',
    seen: { ...well(), deadLetters: 1 },
    finds: ['DeadLetters'],
    says: /^1 dead letter waits/,
  },
  {
    state: 'a clock is off',
    seen: well(gateway({ clock_ahead_ms: -90_000 }), counter()),
    finds: ['ClockSkew'],
    says: /gateway-1 on here is 1 min 30 s behind/,
  },
  {
    state: 'whether the broker syncs is not stated',
    seen: well(gateway({ is_sync_stated: false }), counter()),
    finds: ['SyncUnstated'],
  },
  {
    state: 'accepted increments may be lost',
    seen: { ...well(), risk: 'the stream has max_age: do this' },
    finds: ['StreamUnsafe'],
  },
];

void t.test('each state has its true headline, and no other', (t) => {
  for (const { state, seen, finds, says } of CASES) {
    const found = diagnose(seen);
    t.strictSame(
      found.map(({ name }) => name),
      finds,
      state,
    );
    if (says !== undefined) t.match(describeFinding(found[0] as Finding), says, state);
  }
  t.end();
});

void t.test('a promise that is broken comes before what somebody should look at', (t) => {
  const seen = { ...well(gateway(), troubled('silent')), deadLetters: 2, settings: ['wrong'] };
  t.strictSame(
    diagnose(seen).map(({ name, level }) => [name, level]),
    [
      ['DatabaseSilent', 'bad'],
      ['SettingChanged', 'bad'],
      ['DeadLetters', 'warning'],
    ],
  );
  t.end();
});

void t.test('what is said is a sentence without its end', (t) => {
  for (const [name, { cause, effect, next }] of Object.entries(FINDINGS)) {
    for (const text of [cause, effect, next]) t.match(text, /^[A-Z`'].*[^.]$/, name);
  }
  t.end();
});
