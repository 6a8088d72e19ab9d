import type {
  DeadLetterReason,
  Envelope,
  RejectedIncrement,
} from '../../schema/message/envelope.ts';
import type { Exact } from '../../schema/int64.ts';
import type { Tally } from './tally.ts';

/** A message that a counter holds: not acknowledged, and not yet proven to be in the database. */
export interface HeldMessage {
  sequence: number;
  /** The envelope's id; empty where the message is refused as a whole. */
  id: string;
  /** Where its acknowledgement goes; a later delivery of the same message replaces it. */
  reply: string;
  storedAtMs: number;
  /** When the increment became old, as a time of performance.now() that no clock can move. */
  bornAt: number;
  /** When its ack_wait began: at the delivery or the last sign of work. */
  claimedAt: number;
  digest: string;
  increments: number;
  total: Exact;
  /** The W3C trace context that it came with. */
  traceparent?: string;
  /** Absent where the message is in the tally already. */
  body?: HeldBody;
}

/** What is kept of a message that joins the tally only after the ledger has answered. */
export interface HeldBody {
  subject: string;
  text: string;
  envelope: Envelope | undefined;
  rejected: RejectedIncrement[];
  /** Why none of it can be counted. */
  refusal?: DeadLetterReason;
}

/** What one flush takes: the messages of a few seconds and the sums of those without a body. */
export interface Load {
  messages: Map<number, HeldMessage>;
  ids: Set<string>;
  tally: Tally;
  /** Of the bodies that are kept. */
  bodyBytes: number;
  /** A time of performance.now(); Infinity where nothing is held. */
  oldestBornAt: number;
}

export function createLoad(): Load {
  return {
    messages: new Map(),
    ids: new Set(),
    tally: new Map(),
    bodyBytes: 0,
    oldestBornAt: Infinity,
  };
}

export function addToLoad(load: Load, message: HeldMessage): void {
  load.messages.set(message.sequence, message);
  if (message.id !== '') load.ids.add(message.id);
  if (message.body !== undefined) load.bodyBytes += message.body.text.length;
  load.oldestBornAt = Math.min(load.oldestBornAt, message.bornAt);
}

/** Splits a load into what its tally holds, which can't be taken apart, and what kept its bodies. */
export function separate(load: Load): { tallied: Load; kept: Load } {
  const tallied: Load = { ...createLoad(), tally: load.tally };
  const kept = createLoad();
  for (const message of load.messages.values()) {
    addToLoad(message.body === undefined ? tallied : kept, message);
  }
  return { tallied, kept };
}

/** Splits a load whose messages all kept their bodies, to find the one that the database refuses. */
export function halve(load: Load): [Load, Load] {
  const halves: [Load, Load] = [createLoad(), createLoad()];
  let taken = 0;
  for (const message of load.messages.values()) {
    addToLoad(taken++ < load.messages.size / 2 ? halves[0] : halves[1], message);
  }
  return halves;
}
