import { STOP_MS_MAX as COUNTER_STOP_MS_MAX } from '../../counter/config.ts';
import { STOP_MS_MAX as GATEWAY_STOP_MS_MAX } from '../../gateway/config.ts';
import type { StopStep } from '../servers/detached-process.ts';

/** A service ends by itself when its time is up; so none is killed while it still stops. */
const MARGIN_MS = 3_000;

export const SERVICE_STOP_STEPS = {
  gateway: stopSteps(GATEWAY_STOP_MS_MAX),
  counter: stopSteps(COUNTER_STOP_MS_MAX),
};

export const PROXY_STOP_STEPS: StopStep[] = [
  { signal: 'SIGTERM', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];

function stopSteps(stopMsMax: number): StopStep[] {
  return [
    { signal: 'SIGTERM', waitMs: stopMsMax + MARGIN_MS },
    { signal: 'SIGKILL', waitMs: 5_000 },
  ];
}
