import type { ClusterInfo, PeerInfo } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import t from 'tap';
import {
  FOLLOWER_RULES,
  isCurrent,
  isWholeWithoutAway,
  judgeFollower,
  readClusterInfo,
  type Replicas,
  type Sightings,
} from '../../nats/replica-state.ts';

for (const rule of FOLLOWER_RULES) {
  void t.test(`a follower is ${rule.state}: ${rule.because}`, (t) => {
    t.not(rule.examples.length, 0);
    for (const { seenMsAgo, ...report } of rule.examples) {
      const decided = judgeFollower(report, seenMsAgo);
      t.equal(decided.because, rule.because, JSON.stringify({ ...report, seenMsAgo }));
    }
    t.end();
  });
}

const WHOLE = { current: true, offline: false, active: nanos(100), lag: 0 };
const LAGS = { ...WHOLE, current: false, lag: 3 };
const AWAY = { ...LAGS, active: nanos(9_000) };
const GONE = { ...LAGS, offline: true };

const LOOKS: {
  when: string;
  info: ClusterInfo | undefined;
  current: number;
  behind: Replicas['behind'];
  is: 'current' | 'whole without those away' | 'behind';
}[] = [
  {
    when: 'all have everything',
    info: cluster(WHOLE, WHOLE),
    current: 3,
    behind: [],
    is: 'current',
  },
  {
    when: 'one is away',
    info: cluster(WHOLE, AWAY),
    current: 2,
    behind: [{ name: 'b', isAway: true }],
    is: 'whole without those away',
  },
  {
    when: 'one is catching up',
    info: cluster(LAGS, WHOLE),
    current: 2,
    behind: [{ name: 'a', isAway: false }],
    is: 'behind',
  },
  {
    when: 'one is away and one is catching up',
    info: cluster(GONE, LAGS),
    current: 1,
    behind: [
      { name: 'a', isAway: true },
      { name: 'b', isAway: false },
    ],
    is: 'behind',
  },
  {
    when: 'two are away',
    info: cluster(GONE, AWAY),
    current: 1,
    behind: [
      { name: 'a', isAway: true },
      { name: 'b', isAway: true },
    ],
    is: 'behind',
  },
  {
    when: 'a change has just begun and one is not known yet',
    info: cluster(WHOLE),
    current: 2,
    behind: [],
    is: 'behind',
  },
  {
    when: 'nobody leads',
    info: { replicas: [peer('a', WHOLE), peer('b', WHOLE)] },
    current: 2,
    behind: [],
    is: 'behind',
  },
  { when: 'a server runs alone', info: undefined, current: 1, behind: [], is: 'behind' },
];

void t.test('of three wanted replicas', (t) => {
  for (const { when, info, current, behind, is } of LOOKS) {
    const found = readClusterInfo('S', info, { wanted: 3, sightings: new Map(), now: 0 });
    t.match(found, { current, behind }, when);
    const verdict = isCurrent(found)
      ? 'current'
      : isWholeWithoutAway(found)
        ? 'whole without those away'
        : 'behind';
    t.equal(verdict, is, when);
  }
  t.end();
});

void t.test('a server that runs alone has the one replica that it wants', (t) => {
  const options = { wanted: 1, sightings: new Map(), now: 0 };
  t.ok(isCurrent(readClusterInfo('S', undefined, options)));
  t.end();
});

void t.test('a follower keeps up for as long as it is now and then seen with everything', (t) => {
  const sightings: Sightings = new Map();
  const look = (now: number, follower: Partial<PeerInfo>, of = 'S') =>
    isCurrent(readClusterInfo(of, cluster(WHOLE, follower), { wanted: 3, sightings, now }));
  t.notOk(look(0, LAGS), 'never seen with everything');
  t.ok(look(1_000, WHOLE));
  t.ok(look(3_000, LAGS), 'a few messages behind');
  t.notOk(look(3_000, LAGS, 'another stream'));
  t.notOk(look(3_001, LAGS), 'to lag is not to be seen with everything');
  t.ok(look(4_000, WHOLE));
  t.notOk(look(4_100, { ...WHOLE, active: nanos(9_000) }), 'away');
  t.notOk(look(6_001, LAGS), 'nor is what a leader says of one that is away');
  t.end();
});

void t.test('a leader that becomes a follower had everything', (t) => {
  const sightings: Sightings = new Map();
  const look = (info: ClusterInfo, now: number) =>
    isCurrent(readClusterInfo('S', info, { wanted: 3, sightings, now }));
  t.ok(look(cluster(WHOLE, WHOLE), 0));
  const replicas = [peer('leader', LAGS), peer('b', WHOLE)];
  t.ok(look({ leader: 'a', replicas }, 1_000));
  t.end();
});

function cluster(...followers: Partial<PeerInfo>[]): ClusterInfo {
  const replicas = followers.map((follower, index) => peer('ab'[index]!, follower));
  return { leader: 'leader', replicas };
}

function peer(name: string, info: Partial<PeerInfo>): PeerInfo {
  return { ...WHOLE, ...info, name };
}
