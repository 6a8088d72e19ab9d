import { setTimeout as delay } from 'node:timers/promises';
import { memberOf, oneCounter, oneGateway, type Fault } from './fault.ts';
import type { Proxy } from './proxy.ts';
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

/** Refused at once, or swallowed; what was swallowed arrives late, or never. */
async function cutOff(proxy: Proxy, random: Random): Promise<boolean> {
  const isSwallowed = random.chance(0.6);
  const arrivesLate = random.chance(0.5);
  if (isSwallowed) proxy.stall();
  else proxy.refuse();
  await delay(random.between(AWAY_MS.least, AWAY_MS.most));
  if (!arrivesLate) proxy.cut();
  proxy.open();
  return true;
}
