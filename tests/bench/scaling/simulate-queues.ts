/*
 * The publish queues of many gateways before the leader of one stream, simulated: how long a request waits,
 * and how many share a message. The queue is the real one; event loops, broker and disk are service times.
 *
 *   request → turn of the gateway's event loop → queue → network → leader → network → answer
 *
 * A gateway works in turns, as Node does: it accepts what has arrived, publishes what its queue gives it, then
 * answers what was acknowledged. The leader stores one message after the other, with a sync for each. With
 * three brokers it first puts all that wait into one entry of its log, and syncs that; once a follower has
 * synced the entry too, the leader stores each of its messages.
 */
import {
  createSubmissionQueue,
  type Pack,
  type Submission,
  type SubmissionQueue,
} from '../../../gateway/increments/submission-queue.ts';
import { SINGLES_IN_FLIGHT } from '../../../gateway/increments/publish-queues.ts';
import { PACK_INCREMENTS_MAX } from '../../../schema/message/envelope.ts';
import { createEventQueue } from './event-queue.ts';
import { createRandom } from './random.ts';

/** Service times in milliseconds. */
export interface QueueCosts {
  gateway: { acceptMs: number; answerMs: number; publishMs: number };
  /**
   * What the stream's leader does for one message after the other to store it, besides the sync; and what a
   * message takes in the log of three brokers.
   */
  leader: { messageMs: number; incrementMs: number; logMs: number };
  /** How long a sync takes: one of these, each as likely. */
  syncMs: readonly number[];
  /** One way, between gateway and broker and between brokers. */
  networkMs: number;
}

export interface QueueSimulation {
  seed: number;
  gateways: number;
  brokers: 1 | 3;
  /**
   * Requests that come at random, whatever happens to the earlier ones; or clients that each wait for an
   * answer before their next request, which takes the load generator `clientMs`, one after the other.
   */
  load: { requestsPerSecond: number } | { connections: number; clientMs: number };
  costs: QueueCosts;
  /** Another rule than that of the gateways. */
  inFlight?: typeof SINGLES_IN_FLIGHT;
  warmupMs: number;
  measuredMs: number;
}

export interface QueueFigures {
  requestsPerSecond: number;
  messagesPerSecond: number;
  /** Of the leader. */
  syncsPerSecond: number;
  /** Increments in a message. */
  pack: { mean: number; p50: number; p99: number };
  /** From a request's arrival to its answer, in milliseconds. */
  latency: { p50: number; p99: number };
  /** The share of time in which it worked: the leader's store, and a gateway on average. */
  busy: { leader: number; gateway: number };
  /** Requests that found the queue full. */
  refused: number;
}

interface Request extends Submission {
  arrivedAt: number;
}

interface Gateway {
  queue: SubmissionQueue<Request>;
  /** When requests arrive; those of an open load are drawn as they are needed. */
  arrivals: number[];
  acknowledged: Pack<Request>[];
  freeAt: number;
  /** The turn that it is waiting for. */
  turnAt: number;
}

interface Message {
  gateway: Gateway;
  pack: Pack<Request>;
}

/** The default of the gateway's setting. */
const WAITING_MAX = 20_000;
const INCREMENT_BYTES = 57;
/** A turn of the event loop that does nothing. */
const TURN_MS = 0.01;
const PACK_BYTES_MAX = 2 * 1024 * 1024;
/** What nats-server puts into one entry of its log at most. */
const ENTRY_MESSAGES_MAX = 4_096;
const ENTRY_BYTES_MAX = 256 * 1024;

/** Pure: the same simulation has the same figures. */
export function simulateQueues(simulation: QueueSimulation): QueueFigures {
  const { gateways: count, brokers, load, costs, warmupMs, measuredMs } = simulation;
  const { gateway: cpu, leader, networkMs, syncMs } = costs;
  const random = createRandom(simulation.seed);
  const events = createEventQueue();
  const gateways = Array.from({ length: count }, () =>
    createGateway(simulation.inFlight ?? SINGLES_IN_FLIGHT),
  );
  const endsAt = warmupMs + measuredMs;
  const isMeasured = (time: number) => time >= warmupMs && time < endsAt;

  const latencies: number[] = [];
  const packs: number[] = [];
  let refused = 0;
  let syncs = 0;
  let leaderMs = 0;
  let gatewayMs = 0;
  /** Of the load generator, which sends one request after the other. */
  let clientFreeAt = 0;
  let storeFreeAt = 0;
  /** What waits for the next entry of the log. */
  const waiting: Message[] = [];
  let logFreeAt = 0;
  const followersFreeAt = [0, 0];

  for (const gateway of gateways) {
    if ('connections' in load) {
      const own = Math.ceil(load.connections / count);
      gateway.arrivals = Array.from({ length: own }, random).toSorted((a, b) => a - b);
    } else drawArrival(gateway, 0);
    wake(gateway, gateway.arrivals[0]!);
  }
  for (let event = events.next(); event !== undefined; event = events.next()) {
    if (event.at >= endsAt) break;
    event.run(event.at);
  }
  return {
    requestsPerSecond: (latencies.length / measuredMs) * 1_000,
    messagesPerSecond: (packs.length / measuredMs) * 1_000,
    syncsPerSecond: (syncs / measuredMs) * 1_000,
    pack: {
      mean: packs.reduce((sum, size) => sum + size, 0) / packs.length,
      ...percentiles(packs),
    },
    latency: percentiles(latencies),
    busy: { leader: leaderMs / measuredMs, gateway: gatewayMs / measuredMs / count },
    refused,
  };

  function wake(gateway: Gateway, at: number): void {
    const turnAt = Math.max(at, gateway.freeAt);
    if (turnAt >= gateway.turnAt) return;
    gateway.turnAt = turnAt;
    events.add(turnAt, (now) => {
      // An earlier turn has done its work.
      if (gateway.turnAt === now) turn(gateway, now);
    });
  }

  function turn(gateway: Gateway, startedAt: number): void {
    const { queue, arrivals } = gateway;
    const acknowledged = gateway.acknowledged.splice(0);
    let now = startedAt;
    gateway.turnAt = Infinity;
    acknowledged.forEach(queue.finish);
    let arrived = 0;
    for (; arrivals[arrived]! <= startedAt; arrived++) {
      now += cpu.acceptMs;
      const arrivedAt = arrivals[arrived]!;
      if (!queue.add({ arrivedAt, bytes: INCREMENT_BYTES, expiresAt: Infinity })) refused++;
      if (!('connections' in load)) drawArrival(gateway, arrivedAt);
    }
    arrivals.splice(0, arrived);
    for (let pack = queue.take(now, PACK_BYTES_MAX); pack; pack = queue.take(now, PACK_BYTES_MAX)) {
      now += cpu.publishMs;
      if (isMeasured(now)) packs.push(pack.length);
      const message = { gateway, pack };
      events.add(now + networkMs, (at) => {
        if (brokers === 1) return store(message, at);
        waiting.push(message);
        if (logFreeAt <= at) log(at);
      });
    }
    for (const { arrivedAt } of acknowledged.flat()) {
      now += cpu.answerMs;
      if (isMeasured(now)) latencies.push(now - arrivedAt);
      if ('connections' in load) sendNext(gateway, now, load.clientMs);
    }
    if (queue.isHolding) now += TURN_MS;
    if (isMeasured(startedAt)) gatewayMs += now - startedAt;
    gateway.freeAt = now;
    const isBusy = gateway.acknowledged.length > 0 || queue.isHolding;
    wake(gateway, isBusy ? now : Math.min(arrivals[0] ?? Infinity, queue.wakeAt(true)));
  }

  function store({ gateway, pack }: Message, now: number): void {
    const startsAt = Math.max(now, storeFreeAt);
    storeFreeAt = startsAt + leader.messageMs + pack.length * leader.incrementMs + drawSync();
    if (isMeasured(startsAt)) {
      leaderMs += storeFreeAt - startsAt;
      syncs++;
    }
    events.add(storeFreeAt + networkMs, (at) => {
      gateway.acknowledged.push(pack);
      wake(gateway, at);
    });
  }

  function log(now: number): void {
    const entry = waiting.splice(0, countOfEntry(waiting));
    const ownMs = entry.length * leader.logMs;
    logFreeAt = now + ownMs + drawSync();
    if (isMeasured(now)) syncs++;
    events.add(replicate(logFreeAt, ownMs), (at) => {
      for (const message of entry) store(message, at);
    });
    events.add(logFreeAt, (at) => {
      if (waiting.length > 0 && logFreeAt <= at) log(at);
    });
  }

  /** When the faster of the two followers has synced the entry and the leader knows it. */
  function replicate(sentAt: number, ownMs: number): number {
    followersFreeAt.forEach((freeAt, index) => {
      followersFreeAt[index] = Math.max(freeAt, sentAt + networkMs) + ownMs + drawSync();
    });
    return Math.min(...followersFreeAt) + networkMs;
  }

  function drawSync(): number {
    return syncMs[Math.floor(random() * syncMs.length)]!;
  }

  function drawArrival(gateway: Gateway, after: number): void {
    if (!('requestsPerSecond' in load)) return;
    const meanMs = (1_000 * count) / load.requestsPerSecond;
    gateway.arrivals.push(after - Math.log(1 - random()) * meanMs);
  }

  function sendNext(gateway: Gateway, answeredAt: number, clientMs: number): void {
    clientFreeAt = Math.max(clientFreeAt, answeredAt) + clientMs;
    gateway.arrivals.push(clientFreeAt);
  }
}

function countOfEntry(waiting: Message[]): number {
  let bytes = 0;
  let count = 0;
  while (count < waiting.length && count < ENTRY_MESSAGES_MAX && bytes < ENTRY_BYTES_MAX) {
    bytes += waiting[count++]!.pack.length * INCREMENT_BYTES;
  }
  return count;
}

function createGateway(inFlight: typeof SINGLES_IN_FLIGHT): Gateway {
  const queue = createSubmissionQueue<Request>({
    ...inFlight,
    packMax: PACK_INCREMENTS_MAX,
    waitingMax: WAITING_MAX,
    waitingBytesMax: Infinity,
  });
  return { queue, arrivals: [], acknowledged: [], freeAt: 0, turnAt: Infinity };
}

function percentiles(values: number[]): { p50: number; p99: number } {
  const sorted = Float64Array.from(values).toSorted();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}
