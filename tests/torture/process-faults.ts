import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './test-cluster.ts';
import { brokerOf, memberOf, oneBroker, oneCounter, oneGateway, type Fault } from './fault.ts';
import type { Target } from './fault.ts';
import { findChildren, signal } from './process-tree.ts';
import type { Random } from '../support/random.ts';

/** Short of what a client notices up to beyond ack_wait and every time-out of a database role. */
const FREEZE_MS = { least: 200, most: 7_000 };
const SERVER_FREEZE_MS = { least: 200, most: 3_500 };
/** Up to beyond the election of another leader, which takes 4 to 9 seconds. */
export const ONE_OF_THREE_AWAY_MS = { least: 200, most: 12_000 };
/** Beyond the hour for which message rows are kept, up to more than a day. */
const CLOCK_OFF_MS = { least: 2 * 3_600_000, most: 30 * 3_600_000 };

/** Processes that die, stop for a while, or lose the time of day. */
export const processFaults: Fault[] = [
  {
    kind: 'gateway killed',
    aim: oneGateway,
    inflict: async (_arena, _random, targets) => {
      await memberOf(targets).kill();
      return true;
    },
  },
  {
    kind: 'counter killed',
    aim: oneCounter,
    inflict: async (_arena, _random, targets) => {
      await memberOf(targets).kill();
      return true;
    },
  },
  { kind: 'nats-server killed', aim: oneBroker, inflict: killNats },
  { kind: 'PostgreSQL killed', aim: () => ['postgres'], inflict: killPostgres },
  {
    kind: 'gateway frozen',
    aim: oneGateway,
    inflict: (_arena, random, targets) => {
      const { freeze, thaw } = memberOf(targets);
      return forAWhile(random.between(FREEZE_MS.least, FREEZE_MS.most), freeze, thaw);
    },
  },
  {
    kind: 'counter frozen',
    aim: oneCounter,
    inflict: (_arena, random, targets) => {
      const { freeze, thaw } = memberOf(targets);
      return forAWhile(random.between(FREEZE_MS.least, FREEZE_MS.most), freeze, thaw);
    },
  },
  {
    kind: 'nats-server frozen',
    aim: oneBroker,
    inflict: ({ brokers }, random, targets) => {
      const { kill } = brokerOf(targets);
      const { least, most } = brokers.length > 1 ? ONE_OF_THREE_AWAY_MS : SERVER_FREEZE_MS;
      const thaw = () => kill('SIGCONT');
      return forAWhile(random.between(least, most), () => kill('SIGSTOP'), thaw);
    },
  },
  { kind: 'PostgreSQL frozen', aim: () => ['postgres'], inflict: freezePostgres },
  {
    kind: 'counter with a wrong clock',
    aim: oneCounter,
    inflict: async (_arena, random, targets) => {
      const offMs = random.between(CLOCK_OFF_MS.least, CLOCK_OFF_MS.most);
      await memberOf(targets).moveClock(random.chance(0.7) ? offMs : -offMs);
      return true;
    },
  },
];

export async function forAWhile(
  lengthMs: number,
  begin: () => unknown,
  end: () => unknown,
): Promise<boolean> {
  await begin();
  await delay(lengthMs);
  await end();
  return true;
}

/** One that runs alone is started again at once; of three, the others go on meanwhile. */
function killNats({ brokers }: TestCluster, random: Random, targets: Target[]): Promise<boolean> {
  const { kill, restart } = brokerOf(targets);
  const { least, most } = ONE_OF_THREE_AWAY_MS;
  const awayMs = brokers.length > 1 ? random.between(least, most) : 0;
  return forAWhile(
    awayMs,
    () => kill('SIGKILL'),
    () => restart(),
  );
}

async function killPostgres({ postgres }: TestCluster): Promise<boolean> {
  postgres.kill('SIGKILL');
  await postgres.restart();
  return true;
}

/** Its backends are processes of their own, and go on working if only the main one stops. */
function freezePostgres({ postgres }: TestCluster, random: Random): Promise<boolean> {
  const frozen: number[] = [];
  const freeze = () => {
    postgres.kill('SIGSTOP');
    frozen.push(...findChildren(postgres.pid));
    frozen.forEach((pid) => signal(pid, 'SIGSTOP'));
  };
  const thaw = () => {
    frozen.forEach((pid) => signal(pid, 'SIGCONT'));
    postgres.kill('SIGCONT');
  };
  const lengthMs = random.between(SERVER_FREEZE_MS.least, SERVER_FREEZE_MS.most);
  return forAWhile(lengthMs, freeze, thaw);
}
