import { setTimeout as delay } from 'node:timers/promises';

/** Awaits a condition, at most `deadlineMs`; what it returns last is the answer. */
export async function until<Answer>(
  what: string,
  ask: () => Answer | Promise<Answer>,
  deadlineMs = 20_000,
): Promise<Exclude<Answer, undefined | false | null>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer as Exclude<Answer, undefined | false | null>;
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(50);
  }
}

/** Zombies, which nobody may have waited for, do not count as alive. */
export { identifyProcess as livingProcess } from '../../mesh/servers/processes.ts';
