import type { PeerInfo } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import t from 'tap';
import { findCompleteMs } from '../../../counter/settle/complete-ms.ts';

const NOW = 1_800_000_000_000;

function find(replicas: number, followers: Partial<PeerInfo>[], elapsedMs = 20) {
  const peers = followers.map((peer, index) => ({
    name: `nats-${index}`,
    current: true,
    offline: false,
    active: nanos(300),
    lag: 0,
    ...peer,
  }));
  return findCompleteMs({
    brokerMs: NOW,
    elapsedMs,
    cluster: { leader: 'nats', replicas: peers },
    config: { num_replicas: replicas },
  });
}

t.equal(find(1, []), NOW - 20, 'a server that runs alone: when it was asked');
t.equal(find(1, [], 0.4), NOW - 1, 'rounded down');
t.equal(find(3, [{}, {}]), NOW - 320, 'three: when a follower last spoke');
t.equal(find(3, [{ offline: true }, {}]), NOW - 320, 'one of them may be away');
t.equal(find(3, [{ active: nanos(5_000) }, { active: nanos(9_000) }]), NOW - 5_020, 'cut off');
t.equal(
  find(3, [{ active: 0 }, { active: 0 }]),
  undefined,
  'a new leader that heard from nobody cannot tell',
);
t.equal(find(3, []), undefined);
t.equal(
  find(5, [{ active: nanos(10) }, { active: nanos(700) }, { active: nanos(9_000) }, { active: 0 }]),
  NOW - 720,
  'five: two followers are needed',
);
