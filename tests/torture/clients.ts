import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { attemptPost, type Answered } from './attempt.ts';
import { makeBadRequest } from './bad-input.ts';
import type { Book, Increment } from './book.ts';
import type { Random } from './random.ts';

const PAUSE_MS_MAX = 80;
/** Between an attempt and its repeat. */
const RETRY_MS = { least: 20, most: 600 };
/** A client that means to have its 200 gives up in the end, or the run would not end. */
const RETRIES_MAX = 100;

export interface ClientsOptions {
  book: Book;
  random: Random;
  gateways: { name: string; url: string }[];
  connections: number;
  /** Told of each accepted message. */
  onAccepted: (sequence: number) => void;
  /** Ends what is begun anew; what is being retried is retried to its end. */
  ending: AbortSignal;
}

/** Sends everything that clients send, until the end, and writes it into the book. */
export async function runClients(options: ClientsOptions): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const keyed: Increment[] = [];
  const clients = Array.from({ length: options.connections }, () =>
    runClient({ ...options, random: options.random.fork() }, { agent, keyed }),
  );
  await Promise.all(clients);
  agent.destroy();
}

async function runClient(
  options: ClientsOptions,
  { agent, keyed }: { agent: Agent; keyed: Increment[] },
): Promise<void> {
  const { book, random, gateways, ending } = options;
  while (!ending.aborted) {
    await random.pick([single, single, single, single, keep, keep, repeat, reuse, bad])();
    await delay(random.between(0, PAUSE_MS_MAX));
  }

  /** Once, without a key: an unknown outcome stays unknown. */
  async function single(): Promise<void> {
    await post(book.addIncrement(book.openFence()));
  }

  /** With a key, and retried until it is answered 200; some clients lose interest before. */
  async function keep(): Promise<void> {
    const fence = book.openFence({ once: random.uuid() });
    const increment = book.addIncrement(fence, ['idempotency-key-reused']);
    keyed.push(increment);
    const losesInterest = random.chance(0.2);
    for (let retry = 0; retry < RETRIES_MAX; retry++) {
      // Now and then at two gateways at once, as a proxy in front of them would hedge.
      const posts = random.chance(0.1) ? [post(increment), post(increment)] : [post(increment)];
      const answers = await Promise.all(posts);
      answers.forEach(checkRepeat);
      const isDecided = answers.some(({ status }) => status === 200 || status === 422);
      if (losesInterest || isDecided) return;
      await delay(random.between(RETRY_MS.least, RETRY_MS.most));
    }
  }

  /** Something from earlier in the run once more, a moment or minutes later. */
  async function repeat(): Promise<void> {
    const recent = keyed.slice(-20);
    const from = random.chance(0.5) ? recent : keyed;
    if (from.length > 0) checkRepeat(await post(random.pick(from)));
  }

  /** Another payload under a key that was used: of the two one is counted at most. */
  async function reuse(): Promise<void> {
    if (keyed.length === 0 || !random.chance(0.3)) return;
    const { fence } = random.pick(keyed);
    // Two payloads whose order is unknown would make every later repeat ambiguous.
    if (fence.increments.length > 1) return;
    await post(book.addIncrement(fence, ['idempotency-key-reused']));
  }

  async function bad(): Promise<void> {
    const increment = book.addIncrement(book.openFence({ isNeverCounted: true }));
    const { body, headers } = makeBadRequest(increment, random);
    const { status } = await post(increment, { body, ...(headers && { headers }) });
    if (status !== 400 && status !== 0) {
      book.problems.push(`bad input was answered ${status}: ${body} ${JSON.stringify(headers)}`);
    }
  }

  async function post(
    increment: Increment,
    content?: { body: string; headers?: Record<string, string> },
  ): Promise<Answered> {
    const { key, value, fence } = increment;
    const gateway = random.pick(gateways);
    const spelled = random.chance(0.1) ? key.toUpperCase() : key;
    const headers = fence.once === undefined ? {} : { 'idempotency-key': fence.once };
    const answered = await attemptPost({
      url: gateway.url,
      via: gateway.name,
      body: `{"key":"${spelled}","value":${value}}`,
      headers,
      ...content,
      agent,
    });
    const { attempt, status } = answered;
    book.addAttempt(increment, attempt);
    if (status === 200 && attempt.sequence !== undefined) options.onAccepted(attempt.sequence);
    if (![0, 200, 400, 422, 503].includes(status)) {
      book.problems.push(`an unexpected answer: ${attempt.said} from ${attempt.via}`);
    }
    return answered;
  }

  /** The same key with the same payload is never refused as another. */
  function checkRepeat({ status, attempt }: Answered): void {
    if (status === 400) book.problems.push(`good input was answered ${attempt.said}`);
  }
}
