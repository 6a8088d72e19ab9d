import { performance } from 'node:perf_hooks';

/** Measures the steps of an operation, one after the other. */
export interface StepTimer<Step extends string> {
  /** Ends the step that began when the one before ended; the same step again adds up. */
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
