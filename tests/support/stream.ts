import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { INCREMENTS, INCREMENTS_DEAD } from '../../nats/streams.ts';
import { readStreamState, type StreamState } from '../../counter/settle/stream-state.ts';
import type { Servers } from './servers.ts';

/** Access to the streams with the provisioner's role, which may send under a source of its own. */
export interface StreamAccess {
  /** Stores a message as a foreign source would, under `increments.replay`. */
  store: (body: string, headers?: Record<string, string>) => Promise<number>;
  /** Stores many, without waiting for each: acknowledgements come for the last of every thousand. */
  storeMany: (count: number, makeBody: (index: number) => string) => Promise<void>;
  /** The names of a stored message's headers. */
  readHeaderNames: (sequence: number) => Promise<string[]>;
  readDeadLetters: () => Promise<StoredDeadLetter[]>;
  /** The stream, as a counter service sees it. */
  readState: () => Promise<StreamState>;
}

export interface StoredDeadLetter {
  subject: string;
  reason: string;
  /** The original's subject and sequence. */
  originalSubject: string;
  originalSequence: number;
  payload: string;
  /** How many bytes it had where it was cut off; else empty. */
  truncatedFrom: string;
}

export async function openStreams(t: Test, servers: Servers): Promise<StreamAccess> {
  const connection = await connectToNats({
    url: servers.urls.nats.provisioner,
    role: 'provisioner',
  });
  t.teardown(() => connection.close());
  const client = jetstream(connection);
  const manager = await jetstreamManager(connection, { checkAPI: false });

  async function readDeadLetters(): Promise<StoredDeadLetter[]> {
    const { state } = await manager.streams.info(INCREMENTS_DEAD);
    const letters: StoredDeadLetter[] = [];
    for (let seq = state.first_seq; seq > 0 && seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(INCREMENTS_DEAD, { seq });
      if (message === null) continue;
      letters.push({
        subject: message.subject,
        reason: message.header.get('Dead-Letter-Reason'),
        originalSubject: message.header.get('Dead-Letter-Subject'),
        originalSequence: Number(message.header.get('Dead-Letter-Sequence')),
        payload: message.string(),
        truncatedFrom: message.header.get('Dead-Letter-Truncated-From'),
      });
    }
    return letters;
  }

  return {
    readHeaderNames: async (seq) =>
      (await manager.streams.getMessage(INCREMENTS, { seq }))?.header.keys() ?? [],
    store: async (body, named = {}) => {
      const sent = headers();
      for (const [name, value] of Object.entries(named)) sent.set(name, value);
      return (await client.publish('increments.replay', body, { headers: sent })).seq;
    },
    storeMany: async (count, makeBody) => {
      for (let index = 0; index < count; index++) {
        const isAwaited = index % 1_000 === 999 || index === count - 1;
        if (isAwaited) await client.publish('increments.replay', makeBody(index));
        else connection.publish('increments.replay', makeBody(index));
      }
    },
    readDeadLetters,
    readState: () => readStreamState(manager),
  };
}
