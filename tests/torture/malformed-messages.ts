import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { connectToNats } from '../../nats/connect.ts';
import type { Attempt, Book, Increment, MalformedMessage } from './book.ts';
import type { Random } from '../support/random.ts';

const SUBJECT = 'increments.replay';
const PAUSE_MS = { least: 150, most: 700 };
const PUB_ACK_MS_MAX = 3_000;
/** Far beyond the half hour in which a message may be stored after it was made. */
const LATE_MS = 2 * 3_600_000;

export interface MalformedMessagesOptions {
  /** The provisioner's. */
  url: string;
  book: Book;
  random: Random;
  onAccepted: (sequence: number) => void;
  ending: AbortSignal;
}

/** What one message says, and what the book expects of it. */
interface Dose {
  text: string;
  increments: Increment[];
  poison?: MalformedMessage;
}

/**
 * Publishes past the gateways what only a faulty program would: messages that no counter can take,
 * and such with good increments beside bad ones. No message id: each copy is a message of its own.
 */
export async function sendMalformedMessages(options: MalformedMessagesOptions): Promise<void> {
  const { book, random, ending } = options;
  const connection = await connectToNats({ url: options.url, role: 'provisioner' });
  const client = jetstream(connection, { timeout: PUB_ACK_MS_MAX });
  while (!ending.aborted) {
    for (const dose of random.pick(RECIPES)(book, random)) await publish(dose);
    await delay(random.between(PAUSE_MS.least, PAUSE_MS.most));
  }
  await connection.close();

  async function publish({ text, increments, poison }: Dose): Promise<void> {
    const startedAt = performance.now();
    const attempt: Attempt = {
      startedAt,
      endedAt: 0,
      outcome: 'unknown',
      via: SUBJECT,
      said: 'no PubAck',
      sequence: undefined,
    };
    try {
      const { seq } = await client.publish(SUBJECT, text);
      Object.assign(attempt, { outcome: 'accepted', said: 'PubAck', sequence: seq });
      poison?.accepted.push(seq);
      options.onAccepted(seq);
    } catch {
      if (poison) poison.unknown++;
    }
    attempt.endedAt = performance.now();
    book.addAttempt(increments, attempt);
    if (poison) book.addPoison(poison);
  }
}

type Recipe = (book: Book, random: Random) => Dose[];

const RECIPES: Recipe[] = [
  notJson,
  wrongShape,
  badKey,
  badValue,
  late,
  copies,
  reusedId,
  reusedBatchKey,
];

function notJson(_book: Book, random: Random): Dose[] {
  const poison = makePoison('not-json', random);
  return [{ text: `{"increments": ${poison.mark}`, increments: [], poison }];
}

function wrongShape(_book: Book, random: Random): Dose[] {
  const poison = makePoison('wrong-shape', random);
  const text = random.pick([
    `["${poison.mark}"]`,
    `{"version":1,"id":"${poison.mark}","increments":[]}`,
    `{"version":1,"id":"${randomUUIDv7()}","increments":[],"note":"${poison.mark}"}`,
  ]);
  return [{ text, increments: [], poison }];
}

/** Good neighbours of a bad increment must be counted. */
function badKey(book: Book, random: Random): Dose[] {
  const poison = makePoison('bad-key', random);
  return [besideGood(book, { poison, bad: `{"key":"${poison.mark}","value":1}` })];
}

function badValue(book: Book, random: Random): Dose[] {
  const poison = makePoison('bad-value', random);
  const bad = `{"key":"${random.uuid()}","value":"${poison.mark}"}`;
  return [besideGood(book, { poison, bad })];
}

function late(book: Book): Dose[] {
  const increment = book.addIncrement(book.openFence({ isNeverCounted: true }), ['late']);
  const id = randomUUIDv7();
  const minted = (Date.now() - LATE_MS).toString(16).padStart(12, '0');
  const lateId = `${minted.slice(0, 8)}-${minted.slice(8)}${id.slice(13)}`;
  return [{ text: envelope(lateId, [encode(increment)]), increments: [increment] }];
}

/** The same message stored several times, as after a broker has forgotten its ids. */
function copies(book: Book, random: Random): Dose[] {
  const increment = book.addIncrement(book.openFence());
  const dose = { text: envelope(randomUUIDv7(), [encode(increment)]), increments: [increment] };
  return Array.from({ length: random.between(2, 4) }, () => dose);
}

function reusedId(book: Book): Dose[] {
  const fence = book.openFence();
  const id = randomUUIDv7();
  return [fence, fence].map((each) => {
    const increment = book.addIncrement(each, ['message-id-reused']);
    return { text: envelope(id, [encode(increment)]), increments: [increment] };
  });
}

/** A batch under one key, sent twice: counted once as a whole. */
function reusedBatchKey(book: Book, random: Random): Dose[] {
  const fence = book.openFence({ once: random.uuid(), isBatch: true });
  const increments = [book.addIncrement(fence), book.addIncrement(fence)];
  return [1, 2].map(() => ({
    text: envelope(randomUUIDv7(), increments.map(encode), fence.once),
    increments,
  }));
}

function besideGood(book: Book, { poison, bad }: { poison: MalformedMessage; bad: string }): Dose {
  const increments = [book.addIncrement(book.openFence()), book.addIncrement(book.openFence())];
  const [left = '', right = ''] = increments.map(encode);
  return { text: envelope(randomUUIDv7(), [left, bad, right]), increments, poison };
}

function makePoison(reason: string, random: Random): MalformedMessage {
  return { mark: `poison-${random.uuid()}`, reason, accepted: [], unknown: 0 };
}

function encode({ key, value }: Increment): string {
  return `{"key":"${key}","value":${value}}`;
}

function envelope(id: string, items: string[], once?: string): string {
  const batchKey = once === undefined ? '' : `"once":"${once}",`;
  return `{"version":1,"id":"${id}",${batchKey}"increments":[${items.join(',')}]}`;
}
