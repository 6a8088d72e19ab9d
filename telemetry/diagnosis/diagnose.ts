/*
 * From observations to findings. No finding rests on an absence alone: that nothing is heard of a counter
 * service means something only while the broker is known to answer.
 */
import { CLOCK_AHEAD_MS_MAX, STALENESS_MS_MAX } from '../../schema/bounds.ts';
import { formatBytes, formatCount, formatDuration, plural } from '../quantities.ts';
import { FINDINGS, findingOf, type Finding, type FindingName } from './findings.ts';
import type {
  MissingService,
  Observations,
  Reached,
  Service,
  StoreFailure,
} from './observations.ts';

/** A service reports once a second. */
export const SILENT_MS = 3_000;
/** A flush that takes longer leaves little of the ten seconds. */
const FLUSH_MS_MAX = 2_500;
/** What a counter service held when it died is counted by then. */
const REDELIVERED_MS_MAX = 20_000;
const STREAM_FULL_RATIO = 0.8;

const STORE_FINDINGS: Record<StoreFailure, FindingName> = {
  full: 'StreamFull',
  refused: 'StreamRefuses',
  failed: 'StreamFails',
  denied: 'StreamDenied',
  away: 'StreamAway',
  silent: 'StreamSilent',
  'broker-silent': 'BrokerSilent',
};

/** What is said of a database that takes no writes. */
export const DATABASE_FINDINGS: Record<Exclude<Reached['state'], 'answers'>, FindingName> = {
  away: 'DatabaseAway',
  silent: 'DatabaseSilent',
  'read-only': 'DatabaseReadOnly',
  full: 'DatabaseFull',
  denied: 'DatabaseDenied',
  refuses: 'DatabaseRefuses',
};

/** What makes increments wait. */
const STALENESS_CAUSES: FindingName[] = [
  'BrokerAway',
  'BrokerSilent',
  ...Object.values(DATABASE_FINDINGS),
  'NoCounter',
  'CounterGone',
  'ConsumerGone',
  'ConsumerPaused',
  'StoresDisagree',
];

type Counter = Extract<Service, { kind: 'counter' }>;
type Gateway = Extract<Service, { kind: 'gateway' }>;

/** All that is wrong, the headline first; empty where all is well. */
export function diagnose(seen: Observations): Finding[] {
  const causes = [
    ...ofBroker(seen),
    ...ofStore(seen),
    ...ofDatabase(seen),
    ...ofServices(seen),
    ...ofConsumer(seen),
  ];
  const found = [
    ...causes,
    ...ofStaleness(seen, causes),
    ...ofStream(seen),
    ...ofBooks(seen),
    ...ofClocks(seen),
  ];
  return sortByCause(found);
}

/** The headline first. Of several findings of one name the first is kept. */
export function sortByCause(found: Finding[]): Finding[] {
  const order = Object.keys(FINDINGS);
  return [...Map.groupBy(found, ({ name }) => name).values()]
    .map(([first]) => first!)
    .toSorted((left, right) => order.indexOf(left.name) - order.indexOf(right.name))
    .toSorted(
      (left, right) => Number(left.level === 'warning') - Number(right.level === 'warning'),
    );
}

function isBrokerThere({ broker, store }: Observations): boolean {
  return broker.state === 'answers' && store?.failure !== 'broker-silent';
}

function ofBroker({ broker }: Observations): Finding[] {
  if (broker.state === 'answers') return [];
  const name = broker.state === 'silent' ? 'BrokerSilent' : 'BrokerAway';
  return [findingOf(name, { evidence: broker.detail })];
}

/** By this gateway, or as others report it. */
function ofStore(seen: Observations): Finding[] {
  const { store, risk } = seen;
  const found: Finding[] = [];
  if (store !== undefined && seen.broker.state === 'answers') {
    found.push(findingOf(STORE_FINDINGS[store.failure], { evidence: store.detail }));
  }
  const failing = Map.groupBy(
    alive<Gateway>(seen, 'gateway').filter(({ stats }) => stats.store_problem !== undefined),
    ({ stats }) => stats.store_problem!.failure,
  );
  for (const [failure, gateways] of failing) {
    const name = STORE_FINDINGS[failure as StoreFailure] ?? 'StreamSilent';
    const { reason } = gateways[0]!.stats.store_problem!;
    found.push(findingOf(name, { evidence: `${namesOf(gateways)}: ${reason}` }));
  }
  const text =
    risk ??
    alive<Counter>(seen, 'counter').find(({ activity }) => activity?.risk)?.activity?.risk?.text;
  if (text !== undefined)
    found.push(findingOf('StreamUnsafe', { cause: upperFirst(text), evidence: '' }));
  return found;
}

function ofDatabase(seen: Observations): Finding[] {
  const counters = alive<Counter>(seen, 'counter');
  const failing = counters.filter(({ activity, stats }) =>
    activity === undefined ? stats.database_connected === false : !activity.database_connected,
  );
  const own = seen.database;
  if (failing.length === 0) {
    if (own === undefined || own.state === 'answers') return [];
    const isCounted = counters.length > 0;
    return [
      findingOf(DATABASE_FINDINGS[own.state], {
        evidence: own.detail,
        ...(isCounted &&
          own.state !== 'silent' && {
            effect: 'Counters can not be read from here; counter services have reported no fault',
          }),
      }),
    ];
  }
  const byKind = Map.groupBy(failing, ({ activity }) => activity?.database_problem?.kind);
  return [...byKind].map(([kind, group]) => {
    // What an earlier version reports has no kind.
    const state = kind ?? (own === undefined || own.state === 'answers' ? 'away' : own.state);
    const detail =
      group[0]!.activity?.database_problem?.detail ?? own?.detail ?? 'its flushes fail';
    const isAll = failing.length === counters.length;
    return findingOf(DATABASE_FINDINGS[state], {
      evidence: `${namesOf(group)}: ${detail}`,
      ...(!isAll && { effect: 'What these counter services take waits; the others count' }),
    });
  });
}

function ofServices(seen: Observations): Finding[] {
  const { services } = seen;
  if (services === undefined || !isBrokerThere(seen)) return [];
  const found: Finding[] = [];
  for (const kind of ['gateway', 'counter'] as const) {
    const ofKind = services.filter((service) => service.kind === kind);
    const running = ofKind.filter(isAlive);
    const gone: MissingService[] = [
      ...ofKind.filter((service) => !isAlive(service) && !service.isStopping),
      ...(seen.missing ?? []).filter((service) => service.kind === kind),
    ];
    const none = kind === 'gateway' ? 'NoGateway' : 'NoCounter';
    if (running.length === 0 && gone.length === 0) {
      found.push(findingOf(none, { evidence: 'the broker answers, and none has reported' }));
    } else if (gone.length > 0) {
      found.push(ofGone(kind, { gone, isLast: running.length === 0 }));
    }
  }
  return found;
}

function ofGone(
  kind: Service['kind'],
  { gone, isLast }: { gone: MissingService[]; isLast: boolean },
): Finding {
  const how = (service: MissingService) => {
    if (service.process === 'died') return 'died';
    return service.process === 'frozen' ? 'is frozen' : 'is silent';
  };
  const noun = kind === 'gateway' ? 'Gateway' : 'Counter service';
  const causes = gone.map((service) => `${noun} ${service.instance} ${how(service)}`);
  const silence = gone.map(
    ({ instance, silentMs }) =>
      `${instance} ${Number.isFinite(silentMs) ? `has not reported for ${formatDuration(silentMs)}` : 'does not answer'}`,
  );
  const isUnknown = gone.some(({ process }) => process === undefined || process === 'runs');
  const evidence = `${silence.join(', ')}${isUnknown ? ': it died, is frozen, or is cut off from the broker' : ''}`;
  const name = kind === 'gateway' ? 'GatewayGone' : 'CounterGone';
  return findingOf(name, {
    cause: causes.join(', '),
    evidence,
    level: isLast ? 'bad' : 'warning',
    ...(isLast && { effect: FINDINGS[kind === 'gateway' ? 'NoGateway' : 'NoCounter'].effect }),
  });
}

function ofConsumer(seen: Observations): Finding[] {
  const { consumer, disagreement } = seen;
  const counters = alive<Counter>(seen, 'counter');
  const found: Finding[] = [];
  const reported = counters.find(({ activity }) => activity?.counting_problem !== undefined);
  const { counting_problem: text = '', counting_problem_kind: kind } = reported?.activity ?? {};
  const evidence = reported === undefined ? '' : `${reported.instance}: ${text}`;
  if (consumer === 'gone' || kind === 'consumer-gone') {
    found.push(
      findingOf('ConsumerGone', {
        evidence: consumer === 'gone' ? 'the broker says so' : evidence,
      }),
    );
  } else if (consumer === 'paused' || kind === 'consumer-paused') {
    found.push(
      findingOf('ConsumerPaused', {
        evidence: kind === undefined ? 'the broker says so' : evidence,
      }),
    );
  }
  const disagrees = disagreement ?? (kind === undefined || kind === 'stores-disagree' ? text : '');
  if (disagrees !== '')
    found.push(findingOf('StoresDisagree', { cause: upperFirst(disagrees), evidence: '' }));
  return found;
}

/** Where no cause explains it, by its size. */
function ofStaleness(seen: Observations, causes: Finding[]): Finding[] {
  const counters = alive<Counter>(seen, 'counter');
  const slowest = counters.toSorted(
    (left, right) => right.stats.last_flush_ms - left.stats.last_flush_ms,
  )[0];
  const flushMs = slowest?.stats.last_flush_ms ?? 0;
  const slow =
    flushMs > FLUSH_MS_MAX
      ? [
          findingOf('SlowFlush', {
            evidence: `the last flush of ${slowest!.instance} took ${formatDuration(flushMs)}`,
          }),
        ]
      : [];
  const ageMs = seen.stalenessMs ?? oldestAge(seen);
  if (ageMs === undefined || ageMs <= STALENESS_MS_MAX) return slow;
  const isExplained = causes.some(
    ({ name, level }) =>
      STALENESS_CAUSES.includes(name) && (level === 'bad' || ageMs <= REDELIVERED_MS_MAX),
  );
  if (isExplained) return slow;
  const waited = `the oldest has waited for ${formatDuration(ageMs)}`;
  const evidence = slow.length > 0 ? `${waited}; ${slow[0]!.evidence}` : waited;
  return [findingOf('IncrementsStale', { evidence }), ...slow];
}

/** As counter services report it; undefined where none does. */
export function oldestAge(seen: Observations): number | undefined {
  const ages = (seen.services ?? []).flatMap((service) => {
    if (service.kind !== 'counter' || service.isStopping) return [];
    const inStream = service.activity?.stream?.oldest_age_ms;
    if (isAlive(service)) return [service.stats.oldest_held_ms, inStream ?? 0];
    return [];
  });
  return ages.length === 0 ? undefined : Math.max(...ages);
}

function ofStream(seen: Observations): Finding[] {
  const counters = alive<Counter>(seen, 'counter');
  const activities = counters.flatMap(({ activity }) => activity ?? []);
  const { bytes = 0, bytes_max: bytesMax = 0 } =
    activities.find(({ stream }) => stream?.bytes_max)?.stream ?? {};
  const stream = seen.stream ?? { bytes, bytesMax };
  const found: Finding[] = [];
  const ratio = stream.bytesMax > 0 ? stream.bytes / stream.bytesMax : 0;
  if (ratio >= STREAM_FULL_RATIO) {
    const size = `${formatBytes(stream.bytes)} of ${formatBytes(stream.bytesMax)}`;
    found.push(
      findingOf('StreamNearlyFull', {
        cause: `The stream is ${Math.floor(ratio * 100)} % full`,
        evidence: size,
      }),
    );
  }
  const behind =
    seen.replicasBehind ?? activities.find(({ replicas_behind: text }) => text)?.replicas_behind;
  if (behind !== undefined) found.push(findingOf('ReplicaLost', { evidence: behind }));
  const settings =
    seen.settings ?? activities.find(({ setting_faults: faults }) => faults)?.setting_faults;
  if (settings !== undefined && settings.length > 0) {
    const [cause = '', ...others] = settings;
    found.push(findingOf('SettingChanged', { cause, evidence: others.join('; ') }));
  }
  return found;
}

function ofBooks(seen: Observations): Finding[] {
  const counters = alive<Counter>(seen, 'counter');
  const found: Finding[] = [];
  const difference = counters
    .map(({ stats }) => stats.audit_difference ?? 0)
    .find((each) => each !== 0);
  if (difference !== undefined) {
    found.push(
      findingOf('AuditDifference', {
        evidence: `the last audit found a difference of ${difference}`,
      }),
    );
  }
  const reported = counters.map(({ activity }) => activity?.parked_messages ?? 0);
  const parked = seen.parked ?? {
    messages: Math.max(0, ...reported),
    isFull: counters.some(({ activity }) => activity?.is_parking_full === true),
  };
  if (parked.messages > 0) {
    const version = parked.version == null ? '' : `, of a version up to ${parked.version}`;
    const evidence = `${plural(parked.messages, 'message')}${version}`;
    found.push(findingOf(parked.isFull ? 'ParkingFull' : 'MessagesParked', { evidence }));
  }
  const deadLetters =
    seen.deadLetters ??
    Math.max(0, ...counters.map(({ activity }) => activity?.dead_letters_waiting?.messages ?? 0));
  if (deadLetters > 0) {
    const cause = `${plural(deadLetters, 'dead letter')} ${deadLetters === 1 ? 'waits' : 'wait'}`;
    found.push(
      findingOf('DeadLetters', {
        cause,
        evidence: `${formatCount(deadLetters)} in the stream of dead letters`,
      }),
    );
  }
  return found;
}

function ofClocks(seen: Observations): Finding[] {
  const running = (seen.services ?? []).filter(isAlive);
  const wrong = running.filter(
    ({ stats }) => Math.abs(stats.clock_ahead_ms ?? 0) > CLOCK_AHEAD_MS_MAX,
  );
  const found: Finding[] = [];
  if (wrong.length > 0) {
    const evidence = wrong.map(({ instance, stats: { host, clock_ahead_ms: aheadMs = 0 } }) => {
      const off = `${formatDuration(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead' : 'behind'}`;
      return `${instance} on ${host} is ${off}`;
    });
    const hosts = [...new Set(wrong.map(({ stats }) => stats.host))].join(', ');
    found.push(
      findingOf('ClockSkew', {
        cause: `The clock of ${hosts} differs from the broker's`,
        evidence: evidence.join(', '),
      }),
    );
  }
  const unstated = running.filter(
    (service) => service.kind === 'gateway' && service.stats.is_sync_stated === false,
  );
  if (unstated.length > 0) {
    found.push(findingOf('SyncUnstated', { evidence: `${namesOf(unstated)} has no NATS_SYNC` }));
  }
  return found;
}

export function isAlive({
  isStopping,
  silentMs,
}: Pick<Service, 'isStopping' | 'silentMs'>): boolean {
  return !isStopping && silentMs <= SILENT_MS;
}

/** Those that report now. While the broker does not answer, what they said last is no longer true. */
function alive<Kind extends Service>(seen: Observations, kind: Kind['kind']): Kind[] {
  if (!isBrokerThere(seen) && kind === 'counter') return [];
  return (seen.services ?? []).filter(
    (service) => service.kind === kind && isAlive(service),
  ) as Kind[];
}

function upperFirst(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function namesOf(services: { instance: string }[]): string {
  return services.map(({ instance }) => instance).join(', ');
}
