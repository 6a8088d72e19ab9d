/*
 * A rate limit for the mesh as a whole.
 *
 * One gateway keeps the count of each client: its keeper, which every gateway computes by itself
 * (limit-members.ts). The others ask the keeper before they let a request through; what they ask within one
 * turn of the event loop shares a message. So the limit is exact, however small it is, however much a
 * request costs, and wherever it comes in.
 *
 * Each gateway remembers the usage that keepers reported. By that it decides alone if a keeper does not
 * answer, and informs a new keeper after a gateway starts or ends.
 */
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { Type, type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Channel } from '../../nats/channel.ts';
import { joinLimitMembers } from './limit-members.ts';
import { createSlidingWindows, type Taken } from './sliding-window.ts';

/** Longer than a message between gateways takes while their broker is healthy. */
const ANSWER_MS_MAX = 1_000;
/** Asks in one message that is taken. */
const ASKS_MAX = 1_000;
/** And in one that is sent: at most 40 KB, since a broker may take no more than 64 KB. */
const ASKS_SENT_MAX = 100;
/** Clients whose usage is kept; those below their limit are forgotten first. */
const CLIENTS_MAX = 50_000;

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Milliseconds = Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const MemberId = Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' });

const Question = Type.Object({
  from: MemberId,
  number: Count,
  asks: Type.Array(
    Type.Object({
      client: Type.String({ maxLength: 200 }),
      limit: Count,
      cost: Count,
      /** The usage that the keeper reported before, and its age. */
      used: Count,
      usedAgeMs: Milliseconds,
    }),
    { maxItems: ASKS_MAX },
  ),
});
type Ask = Static<typeof Question>['asks'][number];

const Answer = Type.Object({
  number: Count,
  taken: Type.Array(
    Type.Object({ isAllowed: Type.Boolean(), remaining: Count, ttlMs: Milliseconds }),
    { maxItems: ASKS_MAX },
  ),
});

const question = Compile(Question);
const answer = Compile(Answer);

export interface SharedLimit {
  /**
   * Takes some of a client's limit. A refused request takes nothing.
   *
   * @returns a promise only if another gateway must be asked.
   */
  take: (client: string, limit: number, cost: number) => Taken | Promise<Taken>;
  /** The same where this gateway has the client's count; undefined if another one must be asked. */
  takeHere: (client: string, limit: number, cost: number) => Taken | undefined;
  close: () => void;
}

interface Pending {
  ask: Ask;
  resolve: (taken: Taken) => void;
}

export function createSharedLimit(windowMs: number, channel: Channel): SharedLimit {
  const own = randomUUID();
  const windows = createSlidingWindows(windowMs, CLIENTS_MAX);
  const members = joinLimitMembers(own, channel);
  const unsent = new Map<string, Pending[]>();
  const sent = new Map<number, Pending[]>();
  let questions = 0;

  const stops = [
    channel.subscribe(`ask.${own}`, answerQuestion),
    channel.subscribe(`answer.${own}`, receiveAnswer),
  ];

  function takeHere(client: string, limit: number, cost: number): Taken | undefined {
    if (members.keeperOf(client) !== own) return undefined;
    return windows.take(client, { limit, cost }, performance.now());
  }

  function take(client: string, limit: number, cost: number): Taken | Promise<Taken> {
    const keeper = members.keeperOf(client);
    if (keeper === own) return windows.take(client, { limit, cost }, performance.now());
    const ask = { client, limit, cost, ...readKnown(client) };
    return new Promise((resolve) => {
      const pending = unsent.get(keeper);
      if (pending === undefined) {
        unsent.set(keeper, [{ ask, resolve }]);
        setImmediate(sendQuestions, keeper);
      } else pending.push({ ask, resolve });
    });
  }

  /** Sent only to a keeper that may be new: one that was the keeper all the time knows better. */
  function readKnown(client: string): Pick<Ask, 'used' | 'usedAgeMs'> {
    const now = performance.now();
    if (now - members.changedAt > windowMs) return { used: 0, usedAgeMs: 0 };
    const { used, usedAt } = windows.read(client, now);
    return { used, usedAgeMs: now - usedAt };
  }

  function takeAsked({ client, limit, cost, used, usedAgeMs }: Ask): Taken {
    const now = performance.now();
    if (used > 0) windows.seed(client, used, now - usedAgeMs);
    return windows.take(client, { limit, cost }, now);
  }

  function sendQuestions(keeper: string): void {
    const pending = unsent.get(keeper) ?? [];
    unsent.delete(keeper);
    for (let start = 0; start < pending.length; start += ASKS_SENT_MAX) {
      const part = pending.slice(start, start + ASKS_SENT_MAX);
      const number = ++questions;
      sent.set(number, part);
      setTimeout(decideAlone, ANSWER_MS_MAX, number, keeper).unref();
      const asks = part.map(({ ask }) => ask);
      channel.publish(`ask.${keeper}`, JSON.stringify({ from: own, number, asks }));
    }
  }

  function answerQuestion(text: string): void {
    const asked = parse(text);
    if (!question.Check(asked)) return;
    const { from, number, asks } = asked;
    channel.publish(`answer.${from}`, JSON.stringify({ number, taken: asks.map(takeAsked) }));
  }

  function receiveAnswer(text: string): void {
    const answered = parse(text);
    if (!answer.Check(answered)) return;
    const pending = sent.get(answered.number);
    if (pending?.length !== answered.taken.length) return;
    sent.delete(answered.number);
    const at = performance.now();
    for (const [index, { ask, resolve }] of pending.entries()) {
      const taken = answered.taken[index]!;
      windows.seed(ask.client, ask.limit - taken.remaining, at);
      resolve(taken);
    }
  }

  /** A keeper that does not answer delays its clients once, not at each request. */
  function decideAlone(number: number, keeper: string): void {
    const pending = sent.get(number);
    if (pending === undefined) return;
    sent.delete(number);
    members.exclude(keeper);
    for (const { ask, resolve } of pending) resolve(takeAsked({ ...ask, used: 0 }));
  }

  return {
    take,
    takeHere,
    close: () => {
      for (const stop of stops) stop();
      members.close();
    },
  };
}

/** Other programs may publish here too; messages of another shape are ignored. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
