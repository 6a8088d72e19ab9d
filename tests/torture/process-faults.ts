import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './test-cluster.ts';
import { memberOf, oneCounter, oneGateway, type Fault } from './fault.ts';
import type { Random } from '../support/random.ts';

/** Short of what a client notices up to beyond ack_wait and every time-out of a database role. */
const FREEZE_MS = { least: 200, most: 7_000 };
const SERVER_FREEZE_MS = { least: 200, most: 3_500 };
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
  { kind: 'nats-server killed', aim: () => ['nats'], inflict: killNats },
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
    aim: () => ['nats'],
    inflict: ({ servers }, random) => {
      const freeze = () => servers.nats.kill('SIGSTOP');
      const thaw = () => servers.nats.kill('SIGCONT');
      const lengthMs = random.between(SERVER_FREEZE_MS.least, SERVER_FREEZE_MS.most);
      return forAWhile(lengthMs, freeze, thaw);
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

async function forAWhile(
  lengthMs: number,
  begin: () => unknown,
  end: () => unknown,
): Promise<boolean> {
  await begin();
  await delay(lengthMs);
  await end();
  return true;
}

async function killNats({ servers }: TestCluster): Promise<boolean> {
  servers.nats.kill('SIGKILL');
  await servers.restartNats();
  return true;
}

async function killPostgres({ servers }: TestCluster): Promise<boolean> {
  servers.postgres.kill('SIGKILL');
  await servers.restartPostgres();
  return true;
}

/** Its backends are processes of their own, and go on working if only the main one stops. */
function freezePostgres({ servers }: TestCluster, random: Random): Promise<boolean> {
  const frozen: number[] = [];
  const freeze = () => {
    servers.postgres.kill('SIGSTOP');
    frozen.push(...findChildren(servers.postgres.pid));
    frozen.forEach((pid) => signal(pid, 'SIGSTOP'));
  };
  const thaw = () => {
    frozen.forEach((pid) => signal(pid, 'SIGCONT'));
    servers.postgres.kill('SIGCONT');
  };
  const lengthMs = random.between(SERVER_FREEZE_MS.least, SERVER_FREEZE_MS.most);
  return forAWhile(lengthMs, freeze, thaw);
}

/** While the parent is stopped, none of its children is replaced by a stranger of the same pid. */
function findChildren(pid: number): number[] {
  const text =
    process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      : execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' });
  return text.trim().split(/\s+/).filter(Boolean).map(Number);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
