/*
 * What a supervised program goes through, without the processes:
 *
 *   launching    its process is being created
 *   starting     the process exists and does not serve yet
 *   running      it serves; or it did not in time, and is left to go on trying
 *   pausing      it ended by itself, and is launched again after a pause
 *   restarting   its process is being stopped, to be launched again at once
 *   stopping     its process is being stopped for good
 *   stopped      nothing runs any more
 */

export type Phase =
  'launching' | 'starting' | 'running' | 'pausing' | 'restarting' | 'stopping' | 'stopped';

export type SupervisorEvent =
  | 'launched'
  | 'launch failed'
  | 'ready'
  | 'not ready'
  | 'exited'
  | 'pause over'
  | 'restart'
  | 'stop';

export type Action = 'launch' | 'stop process' | 'pause';

export interface SupervisorState {
  phase: Phase;
  hasServed: boolean;
  /** The length of this pause, or else of the next one. */
  pauseMs: number;
}

const PAUSE_MS = { first: 250, max: 5000 };

/** A process that lived this long begins again with the shortest pause. */
const HEALTHY_AFTER_MS = 30_000;

type Transitions = Record<Phase, Partial<Record<SupervisorEvent, [Phase, Action?]>>>;

/** What is not listed changes nothing. */
const TRANSITIONS: Transitions = {
  launching: {
    launched: ['starting'],
    'launch failed': ['pausing', 'pause'],
    restart: ['restarting'],
    stop: ['stopping'],
  },
  starting: {
    ready: ['running'],
    'not ready': ['running'],
    restart: ['restarting', 'stop process'],
    stop: ['stopping', 'stop process'],
  },
  running: {
    exited: ['pausing', 'pause'],
    restart: ['restarting', 'stop process'],
    stop: ['stopping', 'stop process'],
  },
  pausing: {
    'pause over': ['launching', 'launch'],
    restart: ['launching', 'launch'],
    stop: ['stopped'],
  },
  restarting: {
    // The restart came while it was being launched.
    launched: ['restarting', 'stop process'],
    'launch failed': ['launching', 'launch'],
    exited: ['launching', 'launch'],
    stop: ['stopping', 'stop process'],
  },
  stopping: {
    launched: ['stopping', 'stop process'],
    'launch failed': ['stopped'],
    exited: ['stopped'],
    // Again, since the second stop may be a harder one.
    stop: ['stopping', 'stop process'],
  },
  stopped: {},
};

/** Where a first start fails, a setting or the machine is wrong, which another try would only hide. */
const FIRST_START: Partial<Transitions> = {
  launching: { 'launch failed': ['stopped'] },
  starting: { 'not ready': ['stopping', 'stop process'] },
};

export const INITIAL_STATE: SupervisorState = {
  phase: 'launching',
  hasServed: false,
  pauseMs: PAUSE_MS.first,
};

/** @param livedMs for `exited`: how long the process lived. */
export function advance(
  state: SupervisorState,
  event: SupervisorEvent,
  livedMs = 0,
): { state: SupervisorState; action: Action | undefined } {
  const isFirst = !state.hasServed;
  const transition =
    (isFirst ? FIRST_START[state.phase]?.[event] : undefined) ?? TRANSITIONS[state.phase][event];
  const [phase, action] = transition ?? [state.phase];
  let { pauseMs } = state;
  if (event === 'exited' && livedMs >= HEALTHY_AFTER_MS) pauseMs = PAUSE_MS.first;
  if (event === 'pause over') pauseMs = Math.min(pauseMs * 2, PAUSE_MS.max);
  const hasServed = state.hasServed || phase === 'running';
  return { state: { phase, hasServed, pauseMs }, action };
}
