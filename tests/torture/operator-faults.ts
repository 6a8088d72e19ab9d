import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumerConfig, JetStreamManager, StreamConfig } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { lookAtStores } from '../../counter/settle/compare-stores.ts';
import { streamReaders } from '../../counter/settle/stream-state.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { isThere, until } from '../support/until.ts';
import type { Fault } from './fault.ts';
import { readLoss, type Loss } from './losses.ts';
import type { TestCluster } from './test-cluster.ts';

/** Until somebody notices. */
const UNNOTICED_MS = { least: 200, most: 8_000 };
/** JetStream does not answer while a leader is elected. */
const DONE_MS_MAX = 60_000;
const HOUR_MS = 3_600_000;

/** Longer than counter services wait for each other to commit what they hold. */
const COMMITTED_MS = 12_000;

/** None of them lets the broker drop what is not counted: that would be a loss by definition. */
const STREAM_CHANGES: Partial<StreamConfig>[] = [
  { max_age: nanos(HOUR_MS) },
  { max_msgs: 1_000_000 },
  { max_msgs_per_subject: 1_000_000 },
  { max_msg_size: 1_000_000 },
  { duplicate_window: nanos(1_000) },
];
const CONSUMER_CHANGES: Partial<ConsumerConfig>[] = [
  { ack_wait: nanos(1_000) },
  { max_ack_pending: 20 },
  { max_batch: 3 },
  { max_deliver: 2 },
  { filter_subject: 'increments.none' },
  { headers_only: true },
];

/** What operators do to a mesh that runs, and take back. */
export const operatorFaults: Fault[] = [
  {
    kind: 'consumer deleted, and provisioned',
    aim: () => ['mesh'],
    inflict: (arena, random) =>
      changeFor(random.between(UNNOTICED_MS.least, UNNOTICED_MS.most), arena, {
        change: ({ consumers }) => consumers.delete(INCREMENTS, COUNTER),
        mend: arena.provision,
      }),
  },
  {
    kind: 'consumer paused, and resumed',
    aim: () => ['mesh'],
    inflict: (arena, random) =>
      changeFor(random.between(UNNOTICED_MS.least, UNNOTICED_MS.most), arena, {
        change: ({ consumers }) =>
          consumers.pause(INCREMENTS, COUNTER, new Date(Date.now() + HOUR_MS)),
        mend: ({ consumers }) => consumers.resume(INCREMENTS, COUNTER),
      }),
  },
  {
    kind: 'settings of the stream changed, and provisioned',
    aim: () => ['mesh'],
    inflict: (arena, random) => {
      const settings = random.pick(STREAM_CHANGES);
      return changeFor(random.between(UNNOTICED_MS.least, UNNOTICED_MS.most), arena, {
        change: ({ streams }) => streams.update(INCREMENTS, settings),
        mend: arena.provision,
      });
    },
  },
  {
    kind: 'settings of the consumer changed, and provisioned',
    aim: () => ['mesh'],
    inflict: (arena, random) => {
      const settings = random.pick(CONSUMER_CHANGES);
      return changeFor(random.between(UNNOTICED_MS.least, UNNOTICED_MS.most), arena, {
        change: ({ consumers }) => consumers.update(INCREMENTS, COUNTER, settings),
        mend: arena.provision,
      });
    },
  },
  { kind: 'stream purged, and the loss accepted', aim: () => ['mesh'], inflict: purge },
];

type Step = (manager: JetStreamManager) => Promise<unknown>;

async function changeFor(
  unnoticedMs: number,
  { manager }: TestCluster,
  { change, mend }: { change: Step; mend: Step },
): Promise<boolean> {
  // A change that got no answer may have been made, so it is taken back in any case.
  await change(manager).catch(() => undefined);
  await delay(unnoticedMs);
  const isMended = () =>
    mend(manager).then(
      () => true,
      () => false,
    );
  await until('a change that is taken back', isMended, isThere, DONE_MS_MAX);
  return true;
}

/** What counter services hold is counted all the same; the rest is named, and given up. */
async function purge({ manager, database, ...arena }: TestCluster): Promise<boolean> {
  await manager.streams.purge(INCREMENTS).catch(() => undefined);
  await delay(COMMITTED_MS);
  let inDoubt: Loss | undefined;
  const acceptLoss = async () => {
    const look = lookAtStores(database, streamReaders(manager));
    const seen = await look.catch(() => undefined);
    const { code, output } = await arena.runCommand('accept-loss --yes');
    const named = readLoss(output) ?? inDoubt;
    if (code === 0 && named !== undefined) arena.losses.push(named);
    // It may have been accepted, and then the next try has nothing to name.
    inDoubt = readLoss(seen?.found?.message ?? '') ?? inDoubt;
    return code === 0;
  };
  await until('a loss that is accepted', acceptLoss, isThere, DONE_MS_MAX);
  return true;
}
