import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './test-cluster.ts';
import { memberOf, oneCounter, oneGateway, type Fault, type Target } from './fault.ts';
import * as moments from './moments.ts';
import type { Fate } from './proxy.ts';
import type { Random } from '../support/random.ts';

const { strike } = moments;

/** Up to beyond ack_wait and the next pruning of the ledger: by then the broker delivers again. */
const ACKS_CUT_MS = { least: 3_000, most: 14_000 };
/** Of the losses; were all of them cuts, the counters would have no broker at all. */
const CUT_AGAIN = 0.1;
/** Around idle_in_transaction_session_timeout, with which the server takes the locks back. */
const LOCKS_HELD_MS = { least: 500, most: 6_500 };
/** A message is counted and purged within a flush or two, and its publisher waits for six seconds. */
const PURGED_MS_MAX = 4_500;

const cut = (): Fate => 'cut';

/** Harm done at the worst moment. */
export const momentFaults: Fault[] = [
  {
    kind: 'cut after COMMIT, before its answer',
    aim: oneCounter,
    inflict: (_arena, _random, targets) =>
      strike(memberOf(targets).postgres, moments.atCommitAnswer(cut)),
  },
  {
    kind: 'cut before COMMIT arrives',
    aim: oneCounter,
    inflict: (_arena, _random, targets) =>
      strike(memberOf(targets).postgres, moments.atCommit(cut)),
  },
  {
    kind: 'cut after a message is stored, before its PubAck',
    aim: oneGateway,
    inflict: (_arena, _random, targets) => strike(memberOf(targets).nats, moments.atPubAck(cut)),
  },
  {
    kind: 'cut before a message is stored',
    aim: oneGateway,
    inflict: (_arena, _random, targets) => strike(memberOf(targets).nats, moments.atPublish(cut)),
  },
  { kind: 'cut before acks arrive', aim: ({ counters }) => counters, inflict: cutAcks },
  { kind: 'counter killed in its flush', aim: oneCounter, inflict: killInFlush },
  { kind: 'counter frozen while it holds row locks', aim: oneCounter, inflict: freezeWithLocks },
  {
    kind: 'broker restarted after acks, before a PubAck',
    aim: (arena, random) => ['nats', random.pick(arena.gateways)],
    inflict: restartAfterAcks,
  },
];

/** For a while no purge and no ack gets through: messages that are counted come again. */
async function cutAcks({ counters }: TestCluster, random: Random): Promise<boolean> {
  let lost = 0;
  const watcher = moments.atSettlement((): Fate => {
    lost++;
    // What a client sends while its connection breaks is lost without a word.
    return lost === 1 || random.chance(CUT_AGAIN) ? 'cut' : 'drop';
  });
  const endings = counters.map(({ nats }) => nats.watch(watcher));
  await delay(random.between(ACKS_CUT_MS.least, ACKS_CUT_MS.most));
  for (const end of endings) end();
  return lost > 0;
}

/** Its last words reach PostgreSQL or get lost. */
function killInFlush(_arena: TestCluster, random: Random, targets: Target[]): Promise<boolean> {
  const counter = memberOf(targets);
  const lastWords = random.pick<Fate>(['pass', 'drop']);
  const kill = () => {
    void counter.kill();
    return lastWords;
  };
  const at = random.pick([moments.atUpsert, moments.atCommit]);
  return strike(counter.postgres, at(kill));
}

async function freezeWithLocks(
  _arena: TestCluster,
  random: Random,
  targets: Target[],
): Promise<boolean> {
  const counter = memberOf(targets);
  const lengthMs = random.between(LOCKS_HELD_MS.least, LOCKS_HELD_MS.most);
  const freeze = () => {
    counter.freeze();
    return 'pass' as const;
  };
  const isFrozen = await strike(counter.postgres, moments.atUpsert(freeze));
  if (isFrozen) await delay(lengthMs);
  counter.thaw();
  return isFrozen;
}

/**
 * The message is stored, counted and purged while its gateway still waits for the PubAck; then the
 * broker forgets the id, and stores the gateway's next attempt as a new message.
 */
async function restartAfterAcks(
  { brokers, inspect }: TestCluster,
  _random: Random,
  targets: Target[],
): Promise<boolean> {
  let sequence = Infinity;
  const withhold = moments.atPubAck((pubAck) => {
    sequence = Math.min(sequence, Number(/"seq": ?(\d+)/.exec(pubAck)?.[1] ?? Infinity));
    return 'drop';
  });
  const release = memberOf(targets).nats.watch(withhold);
  // Where the broker was away before its moment came, it does not come.
  const readFirst = () =>
    inspect().then(
      ({ firstSequence }) => firstSequence,
      () => 0,
    );
  const deadline = performance.now() + PURGED_MS_MAX;
  try {
    while ((await readFirst()) <= sequence) {
      if (performance.now() > deadline) return false;
      await delay(20);
    }
    // All of them, since a server that takes over knows the id.
    for (const { kill } of brokers) kill('SIGKILL');
    await Promise.all(brokers.map(({ restart }) => restart()));
    return true;
  } finally {
    release();
  }
}
