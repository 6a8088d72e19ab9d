import { setTimeout as delay } from 'node:timers/promises';
import { memberOf, oneCounter, oneGateway, type Fault } from './fault.ts';
import type { Connections } from './proxy.ts';
import type { Random } from '../support/random.ts';

/** Up to more than ack_wait, so that what a cut-off counter holds is delivered to another. */
const AWAY_MS = { least: 500, most: 6_500 };

/** One service loses one server, while everybody else still has it. */
export const networkFaults: Fault[] = [
  {
    kind: 'counter cut off from PostgreSQL alone',
    aim: oneCounter,
    inflict: (_arena, random, targets) => cutOff(memberOf(targets).postgres, random),
  },
  {
    kind: 'counter cut off from nats-server alone',
    aim: oneCounter,
    inflict: (_arena, random, targets) => cutOff(memberOf(targets).nats, random),
  },
  {
    kind: 'gateway cut off from nats-server alone',
    aim: oneGateway,
    inflict: (_arena, random, targets) => cutOff(memberOf(targets).nats, random),
  },
];

/**
 * Refused at once, or swallowed; what was swallowed arrives late, or never.
 *
 * @param options.isOneWay then it is swallowed, as nothing can be refused where an answer can't come.
 */
export async function cutOff(
  connections: Connections,
  random: Random,
  { awayMs = AWAY_MS, isOneWay = false } = {},
): Promise<boolean> {
  const isSwallowed = isOneWay || random.chance(0.6);
  const arrivesLate = random.chance(0.5);
  if (isSwallowed) connections.stall();
  else connections.refuse();
  await delay(random.between(awayMs.least, awayMs.most));
  if (!arrivesLate) connections.cut();
  connections.open();
  return true;
}
