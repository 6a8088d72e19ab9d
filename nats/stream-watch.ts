/*
 * What a gateway knows of the stream that it answers for: whether it is there, and what time it is by
 * the clock of the server that stores its messages.
 *
 * Both come from a message that is sent the way of an increment and never stored: the server's message
 * tracing (`Nats-Trace-Only`, nats-server 2.11) reports on a subject of ours where it would have gone, and
 * when. It costs the stream nothing, and the gateway's role needs no right to look at the stream.
 */
import { performance } from 'node:perf_hooks';
import { createInbox, headers, nuid, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { createBrokerClock, type Clocks } from './broker-clock.ts';
import type { ConnectionWatch } from './connect.ts';
import { listen } from './listen.ts';
import { HTTP_SUBJECT, INCREMENTS } from './streams.ts';

/** Connected here means that the stream is there too, and that its time is known. */
export interface StreamWatch extends ConnectionWatch {
  /** Milliseconds since 1970 by the clock of the server that stores. Only while connected. */
  brokerTimeMs: () => number;
  /** How far this machine's clock is ahead of that one; 0 where it is not known. */
  readonly clockAheadMs: number;
}

/** Core NATS, outside the streams. */
const TRACE_SUBJECT = 'mesh.trace';
const LOOK_MS = 2_000;
/** While the stream is away; a new leader is elected within seconds, and clients wait. */
const SEARCH_MS = 250;
/** A later answer says what time it was, not what time it is. */
const ANSWER_MS_MAX = 1_000;

/** Follows the stream for as long as the connection lives. */
export function watchStream(connection: NatsConnection, broker: ConnectionWatch): StreamWatch {
  const listeners = new Set<(isThere: boolean) => void>();
  const subject = `${TRACE_SUBJECT}.${nuid.next()}`;
  const inbox = createInbox('_INBOX_gateway');
  const clock = createBrokerClock();
  let question: { subject: string; askedAt: Clocks } | undefined;
  let count = 0;
  let timer: NodeJS.Timeout | undefined;

  listen(connection, `${subject}.*`, receiveTrace);
  listen(connection, inbox, receiveRefusal);
  broker.onChange((isConnected) => {
    forget();
    if (isConnected) ask();
  });
  ask();

  function ask(): void {
    clearTimeout(timer);
    if (clock.isSet && !clock.isReliable(readClocks())) forget();
    timer = setTimeout(ask, clock.isSet ? LOOK_MS : SEARCH_MS).unref();
    if (!broker.isConnected || connection.isClosed() || isAwaited()) return;
    question = { subject: `${subject}.${++count}`, askedAt: readClocks() };
    const trace = headers();
    trace.set('Nats-Trace-Dest', question.subject);
    trace.set('Nats-Trace-Only', 'true');
    connection.publish(HTTP_SUBJECT, '', { headers: trace, reply: inbox });
  }

  /** A slow answer is an answer: asked anew too soon, a busy broker would never be heard. */
  function isAwaited(): boolean {
    if (question === undefined) return false;
    return performance.now() - question.askedAt.monotonicMs < ANSWER_MS_MAX;
  }

  /** Each server on the way sends its part; the one that would have stored the message names the stream. */
  function receiveTrace(message: Msg): void {
    const brokerMs = readStoredTime(message);
    if (brokerMs === undefined || message.subject !== question?.subject) return;
    const now = readClocks();
    const { wallMs, monotonicMs } = question.askedAt;
    question = undefined;
    // By both clocks, so that neither a process that was frozen nor a machine that slept is fooled.
    if (now.wallMs - wallMs > ANSWER_MS_MAX || now.monotonicMs - monotonicMs > ANSWER_MS_MAX)
      return;
    const wasAway = !clock.isSet;
    clock.set(brokerMs, now);
    if (wasAway) report(true);
  }

  /** Only "no responders" says that no server stores; silence may be a server that is slow. */
  function receiveRefusal(message: Msg): void {
    if (message.headers?.code !== 503) return;
    question = undefined;
    if (!clock.isSet) return;
    forget();
    ask();
  }

  function forget(): void {
    question = undefined;
    if (!clock.isSet) return;
    clock.clear();
    report(false);
  }

  function report(isThere: boolean): void {
    for (const listener of Array.from(listeners)) listener(isThere);
  }

  return {
    get isConnected() {
      return broker.isConnected && clock.isReliable(readClocks());
    },
    get clockAheadMs() {
      return clock.aheadMs;
    },
    brokerTimeMs: () => clock.timeMs(readClocks()),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** When the message would have been stored; undefined where it is another server's part, or no trace. */
function readStoredTime(message: Msg): number | undefined {
  try {
    const { events = [] } = message.json<{ events?: { stream?: string; ts: string }[] }>();
    const stored = events.find(({ stream }) => stream === INCREMENTS);
    return stored === undefined ? undefined : Date.parse(stored.ts);
  } catch {
    return undefined;
  }
}

function readClocks(): Clocks {
  return { wallMs: Date.now(), monotonicMs: performance.now() };
}
