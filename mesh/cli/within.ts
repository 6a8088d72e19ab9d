import type { Away } from './status/mesh-status.ts';

/** The answer, or why there is none: one that fails, or takes too long, keeps no other part from being read. */
export async function within<Answer>(
  timeoutMs: number,
  read: () => Promise<Answer>,
): Promise<Answer | Away> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<Away>((resolve) => {
    const away = `no answer within ${timeoutMs / 1_000} s`;
    timer = setTimeout(resolve, timeoutMs, { away, isSilent: true });
  });
  const answer = read().catch((error: unknown): Away => {
    const { message } = error as Error;
    return { away: message, isSilent: /time-?d? ?out/i.test(message) };
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
