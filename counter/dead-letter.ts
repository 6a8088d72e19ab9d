import { jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { DEAD_SUBJECT_PREFIX } from '../nats/topology.ts';
import type { DeadLetterReason } from '../schema/envelope.ts';

/** Something that could not be counted, with what a person needs to understand and repair it. */
export interface DeadLetter {
  /** Fixed by stream incarnation, sequence and place, so that a repeat is stored once. */
  id: string;
  reason: DeadLetterReason;
  /** Where it was first published. */
  subject: string;
  sequence: number;
  storedAtMs: number;
  payload: string;
}

const STORE_TIMEOUT_MS = 2_000;

/** Returns a function that stores a dead letter and resolves when it is on disk. */
export function createDeadLetterStore(connection: NatsConnection) {
  const client = jetstream(connection, { timeout: STORE_TIMEOUT_MS });
  return async (letter: DeadLetter): Promise<void> => {
    const facts = headers();
    facts.set('Dead-Letter-Reason', letter.reason);
    facts.set('Dead-Letter-Subject', letter.subject);
    facts.set('Dead-Letter-Sequence', String(letter.sequence));
    facts.set('Dead-Letter-Time', new Date(letter.storedAtMs).toISOString());
    await client.publish(`${DEAD_SUBJECT_PREFIX}${letter.subject}`, letter.payload, {
      msgID: letter.id,
      headers: facts,
    });
  };
}
