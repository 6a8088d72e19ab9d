import { performance } from 'node:perf_hooks';

/** How long the steps of a work took, one after the other. */
export interface StepTimer<Step extends string> {
  /** Ends a step that began when the one before ended; one that comes again adds up. */
  end: (step: Step) => void;
  readonly ms: Partial<Record<Step, number>>;
}

export function startStepTimer<Step extends string>(): StepTimer<Step> {
  const ms: Partial<Record<Step, number>> = {};
  let startedAt = performance.now();
  return {
    ms,
    end: (step) => {
      const now = performance.now();
      ms[step] = (ms[step] ?? 0) + now - startedAt;
      startedAt = now;
    },
  };
}
