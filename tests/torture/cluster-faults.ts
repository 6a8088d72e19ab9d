import { setTimeout as delay } from 'node:timers/promises';
import { untilReplicasCurrent } from '../../nats/replicas.ts';
import type { Link } from './brokers.ts';
import { brokerOf, oneBroker, type Fault } from './fault.ts';
import { cutOff } from './network-faults.ts';
import { ONE_OF_THREE_AWAY_MS as AWAY_MS } from './process-faults.ts';
import { joinConnections, type Connections } from './proxy.ts';
import type { Random } from '../support/random.ts';

/** Between the primary's last commit and its heir's first. */
const NO_PRIMARY_MS = { least: 0, most: 3_000 };
const STANDBY_AWAY_MS = { least: 200, most: 5_000 };
const CURRENT_MS_MAX = 60_000;

/** What three nats-servers must survive, and two PostgreSQL. */
export const clusterFaults: Fault[] = [
  {
    kind: 'nats-server cut off from the other two',
    aim: oneBroker,
    inflict: (_arena, random, targets) => cutOffBoth(brokerOf(targets).routes, random),
  },
  {
    kind: 'nats-server cut off from its clients',
    aim: oneBroker,
    inflict: (_arena, random, targets) => cutOffBoth(brokerOf(targets).clients, random),
  },
  {
    kind: 'nats-server cut off from all, one way',
    aim: oneBroker,
    inflict: (_arena, random, targets) => {
      const { routes, clients } = brokerOf(targets);
      return cutOffOneWay([...routes, ...clients], random);
    },
  },
  {
    kind: 'nats-server cut off from the other two, one way',
    aim: oneBroker,
    inflict: (_arena, random, targets) => cutOffOneWay(brokerOf(targets).routes, random),
  },
  {
    kind: 'nats-server started on an empty store',
    // Of what operators set, a new server learns while it catches up.
    aim: (arena, random) => [...oneBroker(arena, random), 'mesh'],
    inflict: async ({ inspector }, random, targets) => {
      const { kill, restart } = brokerOf(targets);
      // It has forgotten what it voted for and acknowledged: only the other two can be a majority.
      await untilReplicasCurrent(inspector, { timeoutMs: CURRENT_MS_MAX });
      kill('SIGKILL');
      await delay(random.between(AWAY_MS.least, AWAY_MS.most));
      await restart({ isEmpty: true });
      await untilReplicasCurrent(inspector, { timeoutMs: CURRENT_MS_MAX });
      return true;
    },
  },
  {
    kind: 'PostgreSQL fails over',
    aim: () => ['postgres', 'standby'],
    inflict: async ({ postgres }, random) => {
      await postgres.failOver(random.between(NO_PRIMARY_MS.least, NO_PRIMARY_MS.most));
      return true;
    },
  },
  {
    kind: 'standby killed',
    aim: () => ['standby'],
    inflict: async ({ postgres }, random) => {
      await postgres.restartStandby(random.between(STANDBY_AWAY_MS.least, STANDBY_AWAY_MS.most));
      return true;
    },
  },
];

function cutOffBoth(links: Link[], random: Random): Promise<boolean> {
  const connections = joinConnections(links.map(({ proxy }) => proxy));
  return cutOff(connections, random, { awayMs: AWAY_MS });
}

/** It hears nothing, or is not heard. */
function cutOffOneWay(links: Link[], random: Random): Promise<boolean> {
  const isDeaf = random.chance(0.5);
  const connections = links.map(({ proxy, isDialer }): Connections => {
    const way = isDialer === isDeaf ? 'from server' : 'to server';
    return { ...proxy, stall: () => proxy.stall(way) };
  });
  return cutOff(joinConnections(connections), random, { awayMs: AWAY_MS, isOneWay: true });
}
