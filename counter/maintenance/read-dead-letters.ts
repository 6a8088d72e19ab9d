import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import { findDeadLetter, printable, type StoredDeadLetter } from '../../nats/stored-dead-letter.ts';
import { SHOWN_DEAD_LETTERS_MAX } from '../../schema/message/heartbeat.ts';

/** What is in the stream of dead letters, the newest first. */
export interface DeadLettersWaiting {
  messages: number;
  latest: WaitingDeadLetter[];
}

/** With the beginning of its payload. */
export interface WaitingDeadLetter extends StoredDeadLetter {
  /** How long it is in the stream of dead letters, by the broker's time. */
  ageMs: number;
}

/** How far back it looks where some were purged one by one. */
const SEQUENCES_MAX = 50;

/** As long as a heartbeat may have them. */
const REASON_LENGTH_MAX = 64;
const SUBJECT_LENGTH_MAX = 100;
const PAYLOAD_LENGTH_MAX = 200;

/** Returns a function that reads the newest, where the stream has changed since. */
export function createDeadLetterReader(
  manager: JetStreamManager,
): (info: StreamInfo) => Promise<DeadLettersWaiting> {
  let newest: StoredDeadLetter[] = [];
  let readOf = '';

  async function readNewest({ state }: StreamInfo): Promise<StoredDeadLetter[]> {
    // Under its number it never changes.
    const known = new Map(newest.map((one) => [one.sequence, one]));
    const found: StoredDeadLetter[] = [];
    const oldest = Math.max(state.first_seq, state.last_seq - SEQUENCES_MAX + 1, 1);
    const wanted = Math.min(SHOWN_DEAD_LETTERS_MAX, state.messages);
    for (let seq = state.last_seq; seq >= oldest && found.length < wanted; seq--) {
      const deadLetter = known.get(seq) ?? (await findDeadLetter(manager, { seq }));
      if (deadLetter !== undefined) found.push(shorten(deadLetter));
    }
    return found;
  }

  return async (info) => {
    const { state, ts = state.last_ts } = info;
    const now = `${state.messages} ${state.first_seq} ${state.last_seq}`;
    if (now !== readOf) newest = await readNewest(info);
    readOf = now;
    const ageOf = ({ deadSince }: StoredDeadLetter) => Date.parse(ts) - Date.parse(deadSince);
    return {
      messages: state.messages,
      latest: newest.map((one) => ({ ...one, ageMs: Math.max(0, ageOf(one)) })),
    };
  };
}

function shorten(deadLetter: StoredDeadLetter): StoredDeadLetter {
  const { reason, subject, payload } = deadLetter;
  return {
    ...deadLetter,
    reason: reason.slice(0, REASON_LENGTH_MAX),
    subject: printable(subject).slice(0, SUBJECT_LENGTH_MAX),
    payload: printable(payload.slice(0, PAYLOAD_LENGTH_MAX)),
  };
}
