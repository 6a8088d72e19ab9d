/*
 * What a gateway knows of its stream: whether it is there, and the time on the clock of the server that
 * stores its messages.
 *
 * Both come from a message that takes the way of an increment and is never stored: with message tracing
 * (`Nats-Trace-Only`, nats-server 2.11) the server reports, on a subject of ours, where and when it would
 * have stored it. It costs the stream nothing, and the gateway's role needs no right to inspect the stream.
 */
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { headers, nuid, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { CLOCK_ANSWER_MS_MAX, createBrokerClock, type Clocks } from './broker-clock.ts';
import { TRACE_SUBJECT } from './channel.ts';
import { createOwnInbox, type ConnectionWatch } from './connect.ts';
import { listen } from './listen.ts';
import { HTTP_SUBJECT, INCREMENTS } from './streams.ts';

/** Connected means here that the stream is there too, and its time is known. */
export interface StreamWatch extends ConnectionWatch {
  /** Milliseconds since 1970 by the clock of the server that stores. Only while connected. */
  brokerTimeMs: () => number;
  /** How far this machine's clock is ahead of that one; 0 if that is unknown. */
  readonly clockAheadMs: number;
  /** Whether the broker is connected and has answered nothing for some seconds. */
  readonly isSilent: boolean;
}

const CHECK_MS = 2_000;
/** While the stream is away. A new leader is elected within seconds, and clients are waiting. */
const SEARCH_MS = 250;
/** A broker that leaves so many messages in a row without an answer is silent. */
const UNANSWERED_MAX = 2;

/** Watches the stream for as long as the connection lives. */
export function watchStream(connection: NatsConnection, broker: ConnectionWatch): StreamWatch {
  const listeners = new Set<(isThere: boolean) => void>();
  const subject = `${TRACE_SUBJECT}.${nuid.next()}`;
  const inbox = createOwnInbox(connection);
  const clock = createBrokerClock();
  let probe: { subject: string; sentAt: Clocks } | undefined;
  /** In a row. */
  let unanswered = 0;
  let timer: NodeJS.Timeout | undefined;

  listen(connection, `${subject}.*`, receiveTrace);
  listen(connection, inbox, receiveRefusal);
  broker.onChange((isConnected) => {
    markAway();
    if (isConnected) sendProbe();
  });
  sendProbe();

  function sendProbe(): void {
    clearTimeout(timer);
    if (clock.isSet && !clock.isReliable(readClocks())) markAway();
    if (!broker.isConnected || connection.isClosed()) unanswered = 0;
    else if (probe !== undefined && !isProbePending()) unanswered++;
    timer = setTimeout(sendProbe, pauseMs()).unref();
    if (!broker.isConnected || connection.isClosed() || isProbePending()) return;
    // Not to be guessed: other gateways hear this one's traces, and a client that knew the next could set its clock.
    probe = { subject: `${subject}.${randomUUID()}`, sentAt: readClocks() };
    const trace = headers();
    trace.set('Nats-Trace-Dest', probe.subject);
    trace.set('Nats-Trace-Only', 'true');
    connection.publish(HTTP_SUBJECT, '', { headers: trace, reply: inbox });
  }

  function pauseMs(): number {
    if (!clock.isSet) return SEARCH_MS;
    return unanswered > 0 ? CLOCK_ANSWER_MS_MAX : CHECK_MS;
  }

  /** Waits for a slow answer: asking again too soon would discard every answer of a busy broker. */
  function isProbePending(): boolean {
    if (probe === undefined) return false;
    return performance.now() - probe.sentAt.monotonicMs < CLOCK_ANSWER_MS_MAX;
  }

  /** Each server on the way sends its part; the one that would have stored the message names the stream. */
  function receiveTrace(message: Msg): void {
    const brokerMs = readStoredTime(message);
    if (brokerMs === undefined || message.subject !== probe?.subject) return;
    const now = readClocks();
    const { wallMs, monotonicMs } = probe.sentAt;
    probe = undefined;
    unanswered = 0;
    // By both clocks: the process may have been frozen, or the machine asleep.
    if (
      now.wallMs - wallMs > CLOCK_ANSWER_MS_MAX ||
      now.monotonicMs - monotonicMs > CLOCK_ANSWER_MS_MAX
    )
      return;
    const wasAway = !clock.isSet;
    clock.set(brokerMs, now);
    if (wasAway) report(true);
  }

  /** Only "no responders" proves that no server stores the stream; silence may be a slow server. */
  function receiveRefusal(message: Msg): void {
    if (message.headers?.code !== 503) return;
    probe = undefined;
    unanswered = 0;
    if (!clock.isSet) return;
    markAway();
    sendProbe();
  }

  function markAway(): void {
    probe = undefined;
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
    get isSilent() {
      return broker.isConnected && unanswered >= UNANSWERED_MAX;
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

/**
 * When the message would have been stored; undefined for the part of another server, or if it is no trace.
 */
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
