import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { attemptPost, type Answered } from './attempt.ts';
import { makeBadBatch, makeBadRequest, type Content } from './bad-input.ts';
import type { Book, DuplicateKey, Increment } from './book.ts';
import type { Random } from '../support/random.ts';

const PAUSE_MS_MAX = 80;
/** Between an attempt and its repeat. */
const RETRY_MS = { least: 20, most: 600 };
/** A client that means to have its 200 gives up in the end, or the run would not end. */
const RETRIES_MAX = 100;
const BATCH_INCREMENTS = { least: 2, most: 12 };

export interface ClientsOptions {
  book: Book;
  random: Random;
  gateways: { name: string; url: string }[];
  connections: number;
  /** How long to wait for an answer; see attemptPost. */
  answerMsMax?: number;
  /** Told of each accepted message. */
  onAccepted: (sequence: number) => void;
  /** Ends what is begun anew; what is being retried is retried to its end. */
  ending: AbortSignal;
}

/** Sends everything that clients send, until the end, and writes it into the book. */
export async function runClients(options: ClientsOptions): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const keyed: DuplicateKey[] = [];
  const clients = Array.from({ length: options.connections }, () =>
    runClient({ ...options, random: options.random.fork() }, { agent, keyed }),
  );
  await Promise.all(clients);
  agent.destroy();
}

async function runClient(
  options: ClientsOptions,
  { agent, keyed }: { agent: Agent; keyed: DuplicateKey[] },
): Promise<void> {
  const { book, random, gateways, ending } = options;
  const singles = [single, single, single, single, keep, keep, keep];
  const actions = [...singles, batch, keptBatch, repeat, repeat, reuse, bad, badBatch];
  while (!ending.aborted) {
    await random.pick(actions)();
    await delay(random.between(0, PAUSE_MS_MAX));
  }

  /** Once, without a key: an unknown outcome stays unknown. */
  async function single(): Promise<void> {
    await post([book.addIncrement(book.openFence())]);
  }

  async function batch(): Promise<void> {
    await post(addBatch(book.openFence({ isBatch: true })));
  }

  async function keep(): Promise<void> {
    const fence = book.openFence({ once: random.uuid() });
    book.addIncrement(fence, ['idempotency-key-reused']);
    await retry(fence);
  }

  async function keptBatch(): Promise<void> {
    const fence = book.openFence({ once: random.uuid(), isBatch: true });
    addBatch(fence);
    await retry(fence);
  }

  /** With a key, and retried until it is answered 200; some clients lose interest before. */
  async function retry(fence: DuplicateKey): Promise<void> {
    const increments = [...fence.increments];
    keyed.push(fence);
    const losesInterest = random.chance(0.2);
    for (let retries = 0; retries < RETRIES_MAX; retries++) {
      // Now and then at two gateways at once, as a proxy in front of them would hedge.
      const posts = random.chance(0.1) ? [post(increments), post(increments)] : [post(increments)];
      const answers = await Promise.all(posts);
      answers.forEach(refuseNoGoodInput);
      const isDecided = answers.some(({ status }) => status === 200 || status === 422);
      if (losesInterest || isDecided) return;
      await delay(random.between(RETRY_MS.least, RETRY_MS.most));
    }
  }

  /** Something from earlier in the run once more, a moment or minutes later. */
  async function repeat(): Promise<void> {
    const from = random.chance(0.5) ? keyed.slice(-20) : keyed;
    if (from.length === 0) return;
    const { isBatch, increments } = random.pick(from);
    refuseNoGoodInput(await post(isBatch ? increments : [random.pick(increments)]));
  }

  /** Another payload under a key that was used: of the two one is counted at most. */
  async function reuse(): Promise<void> {
    if (keyed.length === 0) return;
    const fence = random.pick(keyed.slice(-200));
    if (fence.isBatch || fence.increments.length > 1) return;
    await post([book.addIncrement(fence, ['idempotency-key-reused'])]);
  }

  async function bad(): Promise<void> {
    const increment = book.addIncrement(book.openFence({ isNeverCounted: true }));
    await expectRefusal(makeBadRequest(increment, random), [increment]);
  }

  /** All or nothing: one bad item refuses its good neighbours too. */
  async function badBatch(): Promise<void> {
    const increments = addBatch(book.openFence({ isNeverCounted: true }));
    await expectRefusal(makeBadBatch(increments, random), increments);
  }

  async function expectRefusal(request: Content, increments: Increment[]): Promise<void> {
    const { status } = await post(increments, request);
    if (status !== 400 && status !== 0) {
      book.problems.push(`bad input was answered ${status}: ${JSON.stringify(request)}`);
    }
  }

  function addBatch(fence: DuplicateKey): Increment[] {
    const length = random.between(BATCH_INCREMENTS.least, BATCH_INCREMENTS.most);
    return Array.from({ length }, () => book.addIncrement(fence));
  }

  async function post(increments: Increment[], content?: Content): Promise<Answered> {
    const gateway = random.pick(gateways);
    const once = increments[0]?.fence.once;
    const { body, headers } = content ?? encode(increments, random);
    const isBatch = increments.length > 1;
    const answered = await attemptPost({
      url: `${gateway.url}/${isBatch ? 'increments' : 'increment'}`,
      via: gateway.name,
      body,
      headers: { ...(once !== undefined && { 'idempotency-key': once }), ...headers },
      agent,
      ...(options.answerMsMax !== undefined && { answerMsMax: options.answerMsMax }),
    });
    const { attempt, status } = answered;
    book.addAttempt(increments, attempt);
    if (status === 200 && attempt.sequence !== undefined) options.onAccepted(attempt.sequence);
    if (![0, 200, 400, 422, 503].includes(status)) {
      book.problems.push(`an unexpected answer: ${attempt.said} from ${attempt.via}`);
    }
    return answered;
  }

  function refuseNoGoodInput({ status, attempt }: Answered): void {
    if (status === 400) book.problems.push(`good input was answered ${attempt.said}`);
  }
}

/** In either of the spellings that mean the same. */
function encode(increments: Increment[], random: Random): Content {
  const items = increments.map(({ key, value }) => {
    const spelled = random.chance(0.1) ? key.toUpperCase() : key;
    return `{"key":"${spelled}","value":${value}}`;
  });
  if (items.length === 1) return { body: items.join('') };
  if (random.chance(0.5)) return { body: `[${items.join(',')}]` };
  return { body: items.join('\n'), headers: { 'content-type': 'application/x-ndjson' } };
}
