/*
 * Whether the stream stores what a gateway publishes. Each publish tells, and where there is none, a probe
 * does (store-watch.ts). Here is what follows from their outcomes; all times are of performance.now().
 *
 * A failure becomes a problem once nothing was stored for a while after it, at once where waiting changes
 * nothing. The next success ends it.
 */
import type { StoreFailure } from '../../nats/error-codes.ts';
import { INCREMENTS } from '../../nats/streams.ts';

export interface StoreState {
  /** When something of this gateway was stored last. */
  storedAt: number;
  /** When the stream was seen to store, by this gateway or another. */
  provenAt: number;
  /** Since the last success: the latest failure, and when the first one was. */
  trouble: { failure: StoreFailure; detail: string; since: number } | undefined;
}

/** Why increments can't be stored, and what an operator can do. */
export interface StoreProblem {
  /** The broker's silence is not one of the stream. */
  failure: StoreFailure | 'broker-silent';
  reason: string;
  remedy: string;
}

/** Without traffic something is stored this often, by one gateway of a mesh. */
export const PROBE_IDLE_MS = 5_000;
/** While the stream does not store: seldom, if it takes long. */
const PROBE_TROUBLE_MS = { min: 500, max: 5_000, share: 0.25 };
/** A stream that stored something so short a time ago has no silent broker. */
const SILENCE_MS = 3_000;

interface Rule {
  /** How long nothing is stored after the first failure until it is a problem. */
  graceMs: number;
  reason: string;
  remedy: string;
}

const RULES: Record<StoreProblem['failure'], Rule> = {
  full: {
    graceMs: 0,
    reason: `the stream ${INCREMENTS} is full`,
    remedy: 'it has room once counter services have caught up: see whether they run',
  },
  refused: {
    graceMs: 0,
    reason: `the stream ${INCREMENTS} refuses messages`,
    remedy: `compare its settings (\`nats stream info ${INCREMENTS}\`) with nats/streams.ts; a sealed stream must be made again`,
  },
  failed: {
    graceMs: 1_000,
    reason: `the broker cannot write the stream ${INCREMENTS}`,
    remedy:
      'make room on the disk of its store, or repair it, then restart nats-server, which writes nothing until then (npm start restarts its own)',
  },
  denied: {
    graceMs: 0,
    reason: 'the broker does not let the gateway publish',
    remedy: 'give its user the permissions in docs/other-nats.md',
  },
  away: {
    graceMs: 3_000,
    reason: `no server stores the stream ${INCREMENTS}`,
    remedy: 'wait for an election or a restart; if it was deleted, `npm run provision` makes it',
  },
  silent: {
    graceMs: 2_000,
    reason: `the stream ${INCREMENTS} acknowledges nothing`,
    remedy:
      `see whether the disk of its server is or was full, after which nats-server must be restarted (npm ` +
      `start does that), and whether it has no_ack (\`nats stream info ${INCREMENTS}\`)`,
  },
  'broker-silent': {
    graceMs: 0,
    reason: 'the broker does not answer',
    remedy: 'see whether nats-server is frozen or overloaded, and the network between',
  },
};

/** At the start it is taken to store, until a probe or an increment shows it. */
export function createStoreState(now: number): StoreState {
  return { storedAt: now, provenAt: now, trouble: undefined };
}

export function afterStored(now: number): StoreState {
  return { storedAt: now, provenAt: now, trouble: undefined };
}

export function afterFailure(
  state: StoreState,
  { failure, detail, now }: { failure: StoreFailure; detail: string; now: number },
): StoreState {
  return { ...state, trouble: { failure, detail, since: state.trouble?.since ?? now } };
}

/** Another gateway's success says nothing of the way from here, so it ends no trouble. */
export function afterOthersStored(state: StoreState, now: number): StoreState {
  return { ...state, provenAt: now };
}

export function findStoreProblem(
  { storedAt, trouble }: StoreState,
  look: { now: number; isBrokerSilent: boolean },
): StoreProblem | undefined {
  const { now, isBrokerSilent } = look;
  const lasting =
    trouble !== undefined && now - trouble.since >= RULES[trouble.failure].graceMs
      ? problemOf(trouble.failure, trouble.detail)
      : undefined;
  const isUnanswered = lasting === undefined || lasting.failure === 'silent';
  const isSilent = isBrokerSilent && isUnanswered && now - storedAt > SILENCE_MS;
  return isSilent ? problemOf('broker-silent') : lasting;
}

/** When to store something small, unless an increment is stored before. */
export function probeDueAt({ provenAt, trouble }: StoreState, lastProbeAt: number): number {
  if (trouble === undefined) return provenAt + PROBE_IDLE_MS;
  const { min, max, share } = PROBE_TROUBLE_MS;
  const pauseMs = (lastProbeAt - trouble.since) * share;
  return lastProbeAt + Math.min(max, Math.max(min, pauseMs));
}

/** Whether an increment that is sent now would be left in doubt; it waits instead. */
export function isSendingUseless(problem: StoreProblem | undefined): boolean {
  return problem?.failure === 'failed' || problem?.failure === 'denied';
}

function problemOf(failure: StoreProblem['failure'], detail = ''): StoreProblem {
  const { reason, remedy } = RULES[failure];
  // A server may answer anything.
  const short = detail.slice(0, 200);
  return { failure, reason: short === '' ? reason : `${reason}: ${short}`, remedy };
}
