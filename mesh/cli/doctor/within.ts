/** A part of the report, or why there is none. */
export type Part<Answer> = Answer | { missing: string };

export function isMissing(part: object): part is { missing: string } {
  return 'missing' in part;
}

/** A part by itself: one that fails, or takes too long, keeps none of the others. */
export async function within<Answer extends object>(
  timeoutMs: number,
  read: () => Answer | Promise<Answer>,
): Promise<Part<Answer>> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<{ missing: string }>((resolve) => {
    const missing = `no answer within ${timeoutMs / 1_000} s`;
    timer = setTimeout(resolve, timeoutMs, { missing });
  });
  const answer = (async () => read())().catch((error: unknown) => ({
    missing: (error as Error).message,
  }));
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
