import { performance } from 'node:perf_hooks';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import { openChannel, STORED_SUBJECT } from '../../nats/channel.ts';
import type { ConnectionWatch } from '../../nats/connect.ts';
import { AttemptFailed, type OnAttempt } from '../../nats/publisher.ts';
import { createStoreProbe } from '../../nats/store-probe.ts';
import type { StreamWatch } from '../../nats/stream-watch.ts';
import { HTTP_SUBJECT, INCREMENTS } from '../../nats/streams.ts';
import { encodeEnvelope } from '../../schema/message/envelope.ts';
import type { Log } from '../../telemetry/log.ts';
import {
  afterFailure,
  afterOthersStored,
  afterStored,
  createStoreState,
  findStoreProblem,
  isSendingUseless,
  probeDueAt,
  type StoreProblem,
  type StoreState,
} from './store-state.ts';

/** What a gateway knows of its stream's storing; connected means that sending is of use. */
export interface StoreWatch extends ConnectionWatch {
  /** For the outcome of each attempt to store increments. */
  onAttempt: OnAttempt;
  readProblem: () => StoreProblem | undefined;
  stop: () => void;
}

const TICK_MS = 1_000;
const TROUBLE_TICK_MS = 250;
/** A tick that is late by more follows a pause of the process, in which no answer could arrive. */
const PAUSE_MS_MAX = 1_000;
/** So that one gateway of many probes before the others want to. */
const JITTER_MS_MAX = 1_000;

/**
 * Follows whether the stream stores, and logs each change: by the outcomes of publishes and, where nothing
 * was stored for some seconds, by messages without increments. Gateways tell each other of those, so that
 * an idle mesh stores one every five seconds, however many gateways it has.
 */
export function watchStore(
  connection: NatsConnection,
  options: { stream: StreamWatch; makeId: () => string; log: Log },
): StoreWatch {
  const { stream, makeId, log } = options;
  const listeners = new Set<(isConnected: boolean) => void>();
  const others = openChannel(connection, STORED_SUBJECT);
  const probe = createStoreProbe(connection, receiveProbe);
  let state: StoreState = createStoreState(performance.now());
  let problem: StoreProblem | undefined;
  let wasConnected = stream.isConnected;
  let probedAt = -Infinity;
  let tickedAt = performance.now();
  let jitterMs = Math.random() * JITTER_MS_MAX;

  others.subscribe('gateway', () => {
    state = afterOthersStored(state, performance.now());
  });
  void followDenials();
  stream.onChange(update);
  let timer = setTimeout(tick, TICK_MS).unref();

  function tick(): void {
    const now = performance.now();
    const wasPaused = now - tickedAt > TICK_MS + PAUSE_MS_MAX;
    tickedAt = now;
    timer = setTimeout(tick, state.trouble === undefined ? TICK_MS : TROUBLE_TICK_MS).unref();
    if (wasPaused) return;
    const isDue = now >= probeDueAt(state, probedAt) + (state.trouble === undefined ? jitterMs : 0);
    if (isDue && stream.isConnected && now - probedAt >= TROUBLE_TICK_MS) sendProbe(now);
    update();
  }

  function sendProbe(now: number): void {
    probedAt = now;
    // The next is due by the answer, or by what follows from its absence.
    state = { ...state, provenAt: now };
    const id = makeId();
    probe.send(id, encodeEnvelope(id, []));
  }

  function receiveProbe(error: AttemptFailed | undefined): void {
    if (error === undefined) {
      jitterMs = Math.random() * JITTER_MS_MAX;
      others.publish('gateway', '');
    }
    onAttempt(error);
  }

  function onAttempt(error: AttemptFailed | undefined): void {
    const now = performance.now();
    const { trouble } = state;
    if (error === undefined) state = afterStored(now);
    else state = afterFailure(state, { failure: error.failure, detail: error.message, now });
    if (error !== undefined || trouble !== undefined) update();
  }

  /** The broker answers a publish that it denies with an error of the connection. */
  async function followDenials(): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type !== 'error') continue;
      const { error } = status;
      const isDenial =
        error instanceof errors.PermissionViolationError &&
        error.operation === 'publish' &&
        error.subject === HTTP_SUBJECT;
      if (isDenial) onAttempt(new AttemptFailed('denied', HTTP_SUBJECT));
    }
  }

  function update(): void {
    const before = problem;
    const now = performance.now();
    // Of a stream that is not there, its own watch tells; who may not publish can't look for it.
    const isKnown = stream.isConnected || state.trouble?.failure === 'denied';
    problem = isKnown
      ? findStoreProblem(state, { now, isBrokerSilent: stream.isSilent })
      : undefined;
    if (isKnown && problem?.failure !== before?.failure) logChange(problem);
    if (watch.isConnected === wasConnected) return;
    wasConnected = watch.isConnected;
    for (const listener of Array.from(listeners)) listener(wasConnected);
  }

  function logChange(now: StoreProblem | undefined): void {
    if (now === undefined) log.info(`the stream ${INCREMENTS} stores again`);
    else log.error(`${now.reason}, so increments get a 503: ${now.remedy}`);
  }

  const watch: StoreWatch = {
    get isConnected() {
      return stream.isConnected && !isSendingUseless(problem);
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onAttempt,
    readProblem: () => problem,
    stop: () => clearTimeout(timer),
  };
  return watch;
}
