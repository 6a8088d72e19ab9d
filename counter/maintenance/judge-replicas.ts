import { isCurrent, type Replicas } from '../../nats/replica-state.ts';
import { describeBehind } from '../../nats/replicas.ts';

/** How many servers do not have everything that they should keep. */
export interface ReplicaStats {
  behind: number;
  /** As `INCREMENTS 2 of 3 (nats-2 is away)`; undefined while it is no fault. */
  text: string | undefined;
  /** Some are catching up, so that a look that follows soon may find them current. */
  isSettling: boolean;
}

/** Under load a follower is a few messages behind in most looks, and current in one of some. */
const BEHIND_MS_MAX = 3_000;

/**
 * Pure: a server that is away counts at once, one that is catching up only after a while.
 *
 * @param behindMs how long not all were current.
 */
export function judgeReplicas(replicas: Replicas[], behindMs: number): ReplicaStats {
  const late = replicas.filter((one) => !isCurrent(one));
  const isAway = late.some(({ behind }) => behind.some((server) => server.isAway));
  const isFault = late.length > 0 && (isAway || behindMs >= BEHIND_MS_MAX);
  const missing = late.map(({ wanted, current }) => wanted - current);
  return {
    behind: isFault ? Math.max(...missing) : 0,
    text: isFault ? describeBehind(replicas) : undefined,
    isSettling: late.some(({ behind }) => behind.some((server) => !server.isAway)),
  };
}
