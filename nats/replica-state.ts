import type { ClusterInfo, PeerInfo } from '@nats-io/jetstream';
import { millis, nanos } from '@nats-io/transport-node';

/** How many servers keep a stream or consumer, and how many of them have all of it. */
export interface Replicas {
  of: string;
  wanted: number;
  current: number;
  /** All that keep it, where the broker tells. */
  servers: string[];
  behind: BehindServer[];
}

export interface BehindServer {
  name: string;
  /** Otherwise it runs and is catching up. */
  isAway: boolean;
}

/** When each server was last seen with everything, by what it keeps and its name. */
export type Sightings = Map<string, number>;

type FollowerState = 'current' | 'catching up' | 'away';

/** What the leader says of a follower. */
type Report = Pick<PeerInfo, 'offline' | 'current' | 'active'>;

interface Rule {
  state: FollowerState;
  because: string;
  applies: (report: Report, seenMsAgo: number) => boolean;
  /** Reports that this rule decides, which the test asks about; `seenMsAgo` is never by default. */
  examples: (Report & { seenMsAgo?: number })[];
}

/** A leader hears from each follower every second, but calls one current for ten after the last word. */
const SILENCE_MS_MAX = 4_000;
/** Time for several looks: a follower that keeps up is seen with everything in most of them. */
const KEPT_UP_MS = 2_000;

/** What a follower is. The first rule that applies decides. */
export const FOLLOWER_RULES: Rule[] = [
  {
    state: 'away',
    because: 'its leader says so',
    applies: ({ offline }) => offline,
    examples: [
      { offline: true, current: false, active: nanos(500) },
      { offline: true, current: true, active: nanos(500), seenMsAgo: 250 },
    ],
  },
  {
    state: 'away',
    because: 'it is silent for longer than some heartbeats',
    applies: ({ active }) => millis(active) > SILENCE_MS_MAX,
    examples: [
      { offline: false, current: true, active: nanos(4_001) },
      { offline: false, current: false, active: nanos(9_000), seenMsAgo: 250 },
    ],
  },
  {
    state: 'away',
    because: 'a new leader has not heard from it at all: it died before the election',
    applies: ({ active, current }) => active === 0 && !current,
    examples: [{ offline: false, current: false, active: 0, seenMsAgo: 250 }],
  },
  {
    state: 'current',
    because: 'its leader says so',
    applies: ({ current }) => current,
    examples: [
      { offline: false, current: true, active: nanos(900) },
      { offline: false, current: true, active: nanos(4_000) },
      { offline: false, current: true, active: 0 },
    ],
  },
  {
    state: 'current',
    because: 'it keeps up: under load it is a few messages behind at almost any moment',
    applies: (_, seenMsAgo) => seenMsAgo <= KEPT_UP_MS,
    examples: [
      { offline: false, current: false, active: nanos(20), seenMsAgo: 250 },
      { offline: false, current: false, active: nanos(20), seenMsAgo: 2_000 },
    ],
  },
  {
    state: 'catching up',
    because: 'it runs, and was not seen with everything of late',
    applies: () => true,
    examples: [
      { offline: false, current: false, active: nanos(20) },
      { offline: false, current: false, active: nanos(20), seenMsAgo: 2_001 },
    ],
  },
];

/** The rule that decides what a follower is. */
export function judgeFollower(report: Report, seenMsAgo = Infinity): Rule {
  return FOLLOWER_RULES.find(({ applies }) => applies(report, seenMsAgo))!;
}

/**
 * Reads what a leader says of the servers that keep something.
 *
 * @param cluster undefined from a server that runs alone.
 * @param options.sightings of earlier looks; this one is added.
 */
export function readClusterInfo(
  of: string,
  cluster: ClusterInfo | undefined,
  options: { wanted: number; sightings: Sightings; now: number },
): Replicas {
  const { wanted, sightings, now } = options;
  if (cluster === undefined) return { of, wanted, current: 1, servers: [], behind: [] };
  const leaders = cluster.leader ? [cluster.leader] : [];
  const followers = (cluster.replicas ?? []).map((report) => {
    const seenAt = sightings.get(`${of} ${report.name}`) ?? -Infinity;
    return { ...report, state: judgeFollower(report, now - seenAt).state };
  });
  const seen = followers.filter(({ state, current }) => state === 'current' && current);
  for (const name of [...leaders, ...seen.map(({ name }) => name)]) {
    sightings.set(`${of} ${name}`, now);
  }
  const behind = followers
    .filter(({ state }) => state !== 'current')
    .map(({ name, state }) => ({ name, isAway: state === 'away' }));
  const servers = [...leaders, ...followers.map(({ name }) => name)];
  return { of, wanted, current: servers.length - behind.length, servers, behind };
}

/** Whether as many servers as wanted have all of it. */
export function isCurrent({ wanted, current }: Replicas): boolean {
  return current >= wanted;
}

/** Whether a majority has all of it, and every other server is away, so that none is catching up. */
export function isWholeWithoutAway({ wanted, current, behind }: Replicas): boolean {
  const areKnown = current + behind.length >= wanted;
  return areKnown && current > wanted / 2 && behind.every(({ isAway }) => isAway);
}
