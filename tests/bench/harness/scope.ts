/** What was started is stopped when the work ends, however it ends. */
export interface Scope {
  /** Adds a step to the end of the scope; the last added runs first. */
  defer: (step: () => unknown) => void;
}

const open = new Set<() => Promise<void>>();

/** Runs work with a scope around it. */
export async function withScope<Result>(work: (scope: Scope) => Promise<Result>): Promise<Result> {
  const steps: (() => unknown)[] = [];
  const close = async () => {
    open.delete(close);
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) await step();
  };
  open.add(close);
  try {
    return await work({ defer: (step) => void steps.push(step) });
  } finally {
    await close();
  }
}

/** Servers run in groups of their own, out of the terminal's reach: a Ctrl-C has to stop them. */
export function closeScopesOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.stderr.write('\nstopping the servers …\n');
      const closing = [...open].toReversed().map((close) => close());
      void Promise.allSettled(closing).then(() => process.exit(130));
    });
  }
}
