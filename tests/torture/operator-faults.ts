import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumerConfig, JetStreamManager, StreamConfig } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { isThere, until } from '../support/until.ts';
import type { Fault } from './fault.ts';
import type { TestCluster } from './test-cluster.ts';

/** Until somebody notices. */
const UNNOTICED_MS = { least: 200, most: 8_000 };
/** JetStream does not answer while a leader is elected. */
const DONE_MS_MAX = 60_000;
const HOUR_MS = 3_600_000;

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
