import { STOP_MS_MAX as COUNTER_STOP_MS_MAX } from '../../counter/config.ts';
import { DRAIN_NOTICE_MS_MAX, STOP_MS_MAX as GATEWAY_STOP_MS_MAX } from '../../gateway/config.ts';
import type { StopStep } from '../servers/detached-process.ts';
import { natsStopSteps } from '../servers/nats.ts';
import { postgresStopSteps } from '../servers/postgres.ts';

/** In the order of a stop: each tier is gone before the next is asked to go. */
export const TIERS = ['gateways', 'proxy', 'counters', 'nats', 'postgres'] as const;
export type Tier = (typeof TIERS)[number];

/** A service ends itself when its time is up, so none is killed before. */
const MARGIN_MS = 3_000;

export const STOP_STEPS: Record<Tier, StopStep[]> = {
  gateways: termThenKill(DRAIN_NOTICE_MS_MAX + GATEWAY_STOP_MS_MAX + MARGIN_MS),
  proxy: termThenKill(10_000),
  counters: termThenKill(COUNTER_STOP_MS_MAX + MARGIN_MS),
  nats: natsStopSteps,
  postgres: postgresStopSteps,
};

function termThenKill(waitMs: number): StopStep[] {
  return [
    { signal: 'SIGTERM', waitMs },
    { signal: 'SIGKILL', waitMs: 5_000 },
  ];
}
