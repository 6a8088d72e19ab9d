import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { openBook } from '../torture/book.ts';
import { attemptPost } from '../torture/attempt.ts';
import { createRandom } from '../support/random.ts';
import { startSampler } from '../torture/sampler.ts';
import type { Inspection } from '../torture/inspection.ts';
import { reachVerdict, type Verdict } from '../torture/verdict.ts';
import { SEED } from '../support/seed.ts';
import { isThere, until } from '../support/until.ts';

const TICK_MS = 10;
/** More than this in flight at once is sent later, which the rate that was reached shows. */
const IN_FLIGHT_MAX = 4_000;
/** Longer than a gateway of a cluster waits for its brokers. */
const ANSWER_MS_MAX = 15_000;
/** Connections to each address; what waits for one waits in the client. */
const CONNECTIONS_MAX = 128;

export interface SteadyLoadOptions {
  urls: string[];
  perSecond: number;
  scene: Inspection;
}

/** What the clients saw, and what is in the table after all of it. */
export interface LoadReport {
  sent: number;
  accepted: number;
  /** Refused as they should be where they must: with 503 and Retry-After. */
  refused: number;
  /** Anything else: a broken connection, a 503 without Retry-After. By what was said. */
  failed: Map<string, number>;
  /** Between two requests that were answered 200, and when that was, in seconds after the start. */
  longestGap: { lengthMs: number; endedAtS: number };
  verdict: Verdict;
}

export interface SteadyLoad {
  readonly accepted: number;
  untilAccepted: (count: number) => Promise<void>;
  /** The longest gap since this was called last. */
  takeLongestGapMs: () => number;
  /** Sends no more, waits for quiet and compares the table with the book, digit by digit. */
  end: () => Promise<LoadReport>;
}

/**
 * Sends increments at a fixed rate, whether or not earlier ones are answered, as clients do who know
 * nothing of each other. Connections are kept, and left when an answer says so. Nothing is sent
 * twice.
 */
export function startSteadyLoad({ urls, perSecond, scene }: SteadyLoadOptions): SteadyLoad {
  const book = openBook(createRandom(SEED));
  const sampler = startSampler(scene.database);
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX });
  const startedAt = performance.now();
  const inFlight = new Set<Promise<void>>();
  const failed = new Map<string, number>();
  const counts = { sent: 0, accepted: 0, refused: 0 };
  let lastAcceptedAt = startedAt;
  let longestGap = { lengthMs: 0, endedAtS: 0 };
  let recentGapMs = 0;
  let isEnding = false;
  const sending = send();

  async function send(): Promise<void> {
    while (!isEnding) {
      const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond);
      while (counts.sent < due && inFlight.size < IN_FLIGHT_MAX) {
        const url = urls[counts.sent++ % urls.length]!;
        const one = post(url).finally(() => inFlight.delete(one));
        inFlight.add(one);
      }
      await delay(TICK_MS);
    }
    await Promise.all(inFlight);
    agent.destroy();
  }

  async function post(url: string): Promise<void> {
    const increment = book.addIncrement(book.openFence());
    const { attempt, status, retryAfter } = await attemptPost({
      url: `${url}/increment`,
      via: url,
      body: `{"key":"${increment.key}","value":${increment.value}}`,
      agent,
      answerMsMax: ANSWER_MS_MAX,
    });
    book.addAttempt([increment], attempt);
    if (status === 200) {
      noteAccepted(attempt.endedAt);
      if (attempt.sequence !== undefined) sampler.accepted(attempt.sequence);
    } else if (status === 503 && retryAfter !== undefined) counts.refused++;
    else failed.set(attempt.said, (failed.get(attempt.said) ?? 0) + 1);
  }

  function noteAccepted(now: number): void {
    counts.accepted++;
    const lengthMs = now - lastAcceptedAt;
    lastAcceptedAt = now;
    recentGapMs = Math.max(recentGapMs, lengthMs);
    if (lengthMs > longestGap.lengthMs) {
      longestGap = { lengthMs, endedAtS: (now - startedAt) / 1_000 };
    }
  }

  return {
    get accepted() {
      return counts.accepted;
    },
    untilAccepted: async (count) => {
      await until(`${count} accepted requests`, () => counts.accepted >= count, isThere, 60_000);
    },
    takeLongestGapMs: () => {
      const lengthMs = recentGapMs;
      recentGapMs = 0;
      return lengthMs;
    },
    end: async () => {
      isEnding = true;
      await sending;
      const verdict = await reachVerdict(scene, book, { seed: SEED, harms: [], sampler });
      return { ...counts, failed, longestGap, verdict };
    },
  };
}

/** In one line, for the log of the test. */
export function describeLoad(report: LoadReport): string {
  const { sent, accepted, refused, failed, longestGap, verdict } = report;
  const others = [...failed].map(([said, count]) => `, ${count} × ${said}`).join('');
  return (
    `${sent} sent, ${accepted} accepted, ${refused} refused with 503${others}; longest gap ` +
    `${Math.round(longestGap.lengthMs)} ms, at ${longestGap.endedAtS.toFixed(1)} s; ` +
    `quiet ${(verdict.quietAfterMs / 1_000).toFixed(1)} s after the last; worst staleness ${(verdict.worst.stalenessMs / 1_000).toFixed(1)} s; ` +
    `${verdict.counted} of ${verdict.increments} counted, ${verdict.copiesRefused} copies refused`
  );
}
