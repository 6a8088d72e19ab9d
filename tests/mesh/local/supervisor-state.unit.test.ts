import t from 'tap';
import {
  advance,
  INITIAL_STATE,
  type Action,
  type Phase,
  type SupervisorEvent,
  type SupervisorState,
} from '../../../mesh/local/supervisor-state.ts';

type Step = [SupervisorEvent, Phase, Action?];

const LIVES: Record<string, Step[]> = {
  'what ends is launched again after a pause': [
    ['launched', 'starting'],
    ['ready', 'running'],
    ['exited', 'pausing', 'pause'],
    ['pause over', 'launching', 'launch'],
    ['launched', 'starting'],
    ['ready', 'running'],
  ],
  'a first launch that fails is not repeated': [['launch failed', 'stopped']],
  'a first start that fails is not repeated, and leaves nothing running': [
    ['launched', 'starting'],
    ['not ready', 'stopping', 'stop process'],
    ['exited', 'stopped'],
  ],
  'a later launch that fails is repeated': [
    ...running(),
    ['exited', 'pausing', 'pause'],
    ['pause over', 'launching', 'launch'],
    ['launch failed', 'pausing', 'pause'],
    ['pause over', 'launching', 'launch'],
  ],
  'a later start that takes too long is left to go on': [
    ...running(),
    ['exited', 'pausing', 'pause'],
    ['pause over', 'launching', 'launch'],
    ['launched', 'starting'],
    ['not ready', 'running'],
    ['exited', 'pausing', 'pause'],
  ],
  'a stop while it runs': [
    ...running(),
    ['stop', 'stopping', 'stop process'],
    ['exited', 'stopped'],
    ['restart', 'stopped'],
    ['stop', 'stopped'],
  ],
  'a stop while it is launched ends it as soon as there is a process': [
    ['stop', 'stopping'],
    ['launched', 'stopping', 'stop process'],
    ['not ready', 'stopping'],
    ['exited', 'stopped'],
  ],
  'a stop while it is launched in vain': [
    ['stop', 'stopping'],
    ['launch failed', 'stopped'],
  ],
  'a stop while it starts': [
    ['launched', 'starting'],
    ['stop', 'stopping', 'stop process'],
    ['ready', 'stopping'],
    ['exited', 'stopped'],
  ],
  'a stop during the pause': [
    ...running(),
    ['exited', 'pausing', 'pause'],
    ['stop', 'stopped'],
    ['pause over', 'stopped'],
  ],
  'a second stop stops again, harder': [
    ...running(),
    ['stop', 'stopping', 'stop process'],
    ['stop', 'stopping', 'stop process'],
    ['exited', 'stopped'],
  ],
  'a restart while it runs launches it again without a pause': [
    ...running(),
    ['restart', 'restarting', 'stop process'],
    ['restart', 'restarting'],
    ['exited', 'launching', 'launch'],
  ],
  'a restart while it starts': [
    ['launched', 'starting'],
    ['restart', 'restarting', 'stop process'],
    ['not ready', 'restarting'],
    ['exited', 'launching', 'launch'],
  ],
  'a restart while it is launched replaces the process, which may have the old code': [
    ['restart', 'restarting'],
    ['launched', 'restarting', 'stop process'],
    ['exited', 'launching', 'launch'],
  ],
  'a restart ends the pause': [
    ...running(),
    ['exited', 'pausing', 'pause'],
    ['restart', 'launching', 'launch'],
  ],
  'a stop during a restart': [
    ...running(),
    ['restart', 'restarting', 'stop process'],
    ['stop', 'stopping', 'stop process'],
    ['exited', 'stopped'],
  ],
};

for (const [name, steps] of Object.entries(LIVES)) {
  void t.test(name, (t) => {
    let state: SupervisorState = INITIAL_STATE;
    for (const [event, phase, action] of steps) {
      const step = advance(state, event);
      t.strictSame([step.state.phase, step.action], [phase, action], `${state.phase}: ${event}`);
      state = step.state;
    }
    t.end();
  });
}

void t.test('each pause is longer, up to 5 s, until a process has lived for 30 s', (t) => {
  let state: SupervisorState = { ...INITIAL_STATE, phase: 'running', hasServed: true };
  const pauseAfter = (livedMs: number) => {
    state = advance({ ...state, phase: 'running' }, 'exited', livedMs).state;
    const { pauseMs } = state;
    state = advance(state, 'pause over').state;
    return pauseMs;
  };
  t.strictSame([1, 1, 1, 1, 1, 1, 1].map(pauseAfter), [250, 500, 1000, 2000, 4000, 5000, 5000]);
  t.equal(pauseAfter(29_999), 5000);
  t.strictSame([30_000, 1].map(pauseAfter), [250, 500]);
  t.end();
});

function running(): Step[] {
  return [
    ['launched', 'starting'],
    ['ready', 'running'],
  ];
}
