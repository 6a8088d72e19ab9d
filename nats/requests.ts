/*
 * Requests of gateways that one counter service answers, over core NATS: nothing is stored, and a request that
 * nobody hears is gone.
 */
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { accessOf } from './connect.ts';
import { describeDenial, findDenial } from './denials.ts';
import { isNoResponders } from './discovery.ts';
import { listen } from './listen.ts';
import { inboxPrefixOf } from './permissions.ts';

/** Thrown if the request has reached nobody, for certain. */
export class NobodyAsked extends Error {
  override readonly name = 'NobodyAsked';
}

/**
 * @returns the answer's text; undefined if none came in time, though somebody may have the request.
 * @throws NobodyAsked
 */
export async function ask(
  connection: NatsConnection,
  subject: string,
  request: { text: string; timeoutMs: number },
): Promise<string | undefined> {
  try {
    const answer = await connection.request(subject, request.text, { timeout: request.timeoutMs });
    return answer.string();
  } catch (error) {
    const denial = findDenial(error);
    if (denial !== undefined)
      throw new NobodyAsked(describeDenial(denial, accessOf(connection)), { cause: error });
    if (isNoResponders(error))
      throw new NobodyAsked(`nobody listens on ${subject}`, { cause: error });
    return undefined;
  }
}

/** Answers gateways, as one of all that do; until the returned function is called. */
export function answerGateways(
  connection: NatsConnection,
  subject: string,
  answer: (text: string) => Promise<string>,
): () => void {
  const { inboxPrefix } = accessOf(connection);
  const inboxes = [OTHER_ACCOUNTS, `${inboxPrefixOf('gateway', inboxPrefix)}.`];

  const respond = async (message: Msg): Promise<void> => {
    // Elsewhere an answer could be a request of its own, with our permissions.
    if (!inboxes.some((inbox) => message.reply?.startsWith(inbox))) return;
    const text = await answer(message.string());
    if (!connection.isClosed()) message.respond(text);
  };
  return listen(connection, subject, (message) => void respond(message), { queue: QUEUE_GROUP });
}

/** What a server puts in the place of an inbox in another account. */
const OTHER_ACCOUNTS = '_R_.';
const QUEUE_GROUP = 'counter';
