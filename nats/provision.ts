import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type {
  ConsumerConfig,
  JetStreamManager,
  StreamConfig,
  StreamInfo,
} from '@nats-io/jetstream';
import type { NatsAccess } from './access-settings.ts';
import { accessOf, connectToNats, managerOf } from './connect.ts';
import { describeDenial, findDenial } from './denials.ts';
import { isRefusal } from './error-codes.ts';
import { retryWhileLeaderless, NoLeader } from './retry-while-leaderless.ts';
import { untilReplicasCurrent, type Replicas } from './replicas.ts';
import {
  asConfig,
  CONSUMER_NEEDS,
  DEAD_LETTERS_NEEDS,
  describeFault,
  findConsumerFaults,
  findDeadLettersFaults,
  findStreamFaults,
  STREAM_NEEDS,
  type SettingFault,
} from './settings.ts';
import {
  ackWaitMs,
  COUNTED_BY,
  INCARNATION,
  incarnationOf,
  COUNTER,
  counterConsumer,
  deadLettersStream,
  INCREMENTS,
  incrementsStream,
  type StreamOptions,
} from './streams.ts';

/** New replicas copy the whole stream; gateways and counter services are not started before. */
const CATCH_UP_MS_MAX = 10 * 60_000;
/** A cluster that has lost a server still accepts increments, so its services must be able to start. */
const AWAY_MS_MAX = 30_000;
/** Of many services that start at once, each deletes a consumer of another kind once at most. */
const ATTEMPTS_MAX = 100;
const AGAIN_MS = 20;

/** Thrown if the broker can't get the settings that this version needs; says what to do. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
}

/** Thrown where waiting changes nothing: a permission or room is missing. */
export class ProvisionRefused extends ProvisionError {}

export interface ProvisionOptions extends StreamOptions, NatsAccess {
  url: string;
  /** Called with the replicas that are not current, while they are awaited. */
  onWait?: (replicas: Replicas[]) => void;
}

/**
 * Makes the two streams and the consumer, or updates them to the settings of this version, and waits until
 * all their replicas are current, even those that an earlier run made; half a minute at most for one that
 * is away. Safe to repeat and to run several times at once.
 *
 * @throws CannotConnect if the server is too old, ProvisionError if it refuses a setting, NoLeader,
 * ReplicasBehind.
 */
export async function provision(options: ProvisionOptions): Promise<void> {
  const { onWait } = options;
  const connection = await connectToNats({ ...options, role: 'provisioner' });
  try {
    const manager = await managerOf(connection, { timeout: 5_000 });
    const increments = { ...asConfig(STREAM_NEEDS), ...incrementsStream(options) };
    const deadLetters = { ...asConfig(DEAD_LETTERS_NEEDS), ...deadLettersStream(options) };
    await applyStream(manager, increments, findStreamFaults);
    await applyStream(manager, deadLetters, findDeadLettersFaults);
    await whileOthersDelete(async () => {
      await applyConsumer(manager, options);
      await untilReplicasCurrent(manager, {
        timeoutMs: CATCH_UP_MS_MAX,
        awayMs: AWAY_MS_MAX,
        ...(onWait && { onWait }),
      });
    });
  } catch (error) {
    const denial = findDenial(error);
    if (denial === undefined) throw error;
    throw new ProvisionRefused(describeDenial(denial, accessOf(connection)), { cause: error });
  } finally {
    await connection.close();
  }
}

/**
 * Writes into the stream which database counts it, where that was never written: counter services of another
 * mesh then see at once that the stream is not theirs.
 */
export async function claimStream(
  broker: NatsAccess & { url: string },
  databaseId: string,
): Promise<void> {
  const connection = await connectToNats({ ...broker, role: 'provisioner' });
  try {
    const manager = await managerOf(connection, { timeout: 5_000 });
    await retryWhileLeaderless(async () => {
      const { config } = await manager.streams.info(INCREMENTS);
      const { metadata = {} } = config;
      if (metadata[COUNTED_BY] !== undefined) return;
      const claimed = { ...config, metadata: { ...metadata, [COUNTED_BY]: databaseId } };
      await manager.streams.update(INCREMENTS, claimed);
    });
  } finally {
    await connection.close();
  }
}

/**
 * Applies all settings that a promise rests on, then reads back and compares them.
 *
 * Updates a stream that exists, and does not add it again: NATS accepts an identical `add`, but first
 * reserves the `max_bytes` of the stream a second time.
 */
async function applyStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
  findFaults: (config: StreamConfig) => SettingFault[],
): Promise<void> {
  try {
    await retryWhileLeaderless(async () => {
      const found = await find(manager.streams.info(config.name));
      const existing = found ?? (await manager.streams.add(config));
      refuseReplicasOfOne(config, existing);
      refuseToShrink(config, existing);
      const faults = findFaults(existing.config);
      refuseFaults(faults.filter(({ isFixed }) => isFixed === true));
      const { num_replicas, metadata: former } = existing.config;
      const made = { [INCARNATION]: String(incarnationOf(existing)) };
      const wanted = {
        num_replicas,
        ...config,
        metadata: { ...former, ...config.metadata, ...made },
      };
      // An update for nothing might take back what another provisioning writes at this moment.
      if (faults.length === 0 && hasAll(existing.config, wanted)) return;
      await manager.streams.update(config.name, wanted);
    });
    const applied = await retryWhileLeaderless(() => manager.streams.info(config.name));
    refuseFaults(findFaults(applied.config));
  } catch (error) {
    if (isRefusal(error, 'no-room')) throw noRoom(config, error);
    if (isRefusal(error, 'overlap')) {
      throw new ProvisionRefused(
        `another stream of the account has the subjects ${config.subjects?.join(', ')} (${error.message}): set ` +
          'another STREAM_NAME, in all parts of the mesh, or remove that stream',
        { cause: error },
      );
    }
    if (isRefusal(error, 'too-few-servers')) {
      throw tooFewServers(config, error.message, error);
    }
    throw cannotApply(config.name, error);
  }
}

/** All that must have a value; what must have none is a matter of findFaults(). */
function hasAll(config: StreamConfig, wanted: Partial<StreamConfig>): boolean {
  return Object.entries(wanted).every(
    ([name, value]) =>
      value === undefined || isDeepStrictEqual(config[name as keyof StreamConfig], value),
  );
}

/** nats-server 2.14 accepts them, and they are never current. */
function refuseReplicasOfOne(
  config: { name: string; num_replicas?: number },
  { cluster }: StreamInfo,
) {
  if ((config.num_replicas ?? 1) > 1 && !cluster?.name)
    throw tooFewServers(config, 'it is no cluster');
}

/** A stream of dead letters would drop its oldest. */
function refuseToShrink(config: Partial<StreamConfig> & { name: string }, { state }: StreamInfo) {
  const { name, max_bytes: bytesMax = Infinity } = config;
  if (state.bytes <= bytesMax) return;
  throw new ProvisionRefused(
    `the stream ${name} holds ${state.bytes} bytes and is to hold ${bytesMax} at most: raise ` +
      'STREAM_BYTES_MAX, or first let counter services catch up and replay or purge dead letters',
  );
}

/** The server's limit, the account's, or that of a stream in this account. */
function noRoom(config: Partial<StreamConfig> & { name: string }, cause: Error): ProvisionRefused {
  const { name, max_bytes: bytes, num_replicas: replicas = 1 } = config;
  return new ProvisionRefused(
    `NATS has no room for the stream ${name} of ${bytes} bytes, ${replicas} times (${cause.message}): set ` +
      'STREAM_BYTES_MAX lower, which dead letters need a quarter more than, or raise max_file_store of the ' +
      'servers or the limits of the account',
    { cause },
  );
}

function tooFewServers(
  { name, num_replicas = 1 }: { name: string; num_replicas?: number },
  detail: string,
  cause?: unknown,
): ProvisionError {
  return new ProvisionError(
    `NATS can't keep ${num_replicas} replicas of ${name} (${detail}): give it a ` +
      'cluster of that many servers with room for its max_bytes, or set REPLICAS=1 or STREAM_BYTES_MAX',
    { cause },
  );
}

/**
 * A consumer whose settings the server does not change, or that may have passed messages over, is made again:
 * what it had delivered and is not counted is delivered again, and counted once.
 */
async function applyConsumer(manager: JetStreamManager, options: StreamOptions): Promise<void> {
  const config = { ...asConfig(CONSUMER_NEEDS), ...counterConsumer(options) };
  try {
    await retryWhileLeaderless(() => setConsumer(manager, config));
    const applied = await retryWhileLeaderless(() => manager.consumers.info(INCREMENTS, COUNTER));
    refuseFaults(findConsumerFaults(applied, ackWaitMs(options.flushIntervalMs)));
  } catch (error) {
    throw cannotApply(`consumer ${COUNTER}`, error);
  }
}

async function setConsumer(manager: JetStreamManager, config: Partial<ConsumerConfig>) {
  const existing = await find(manager.consumers.info(INCREMENTS, COUNTER));
  if (existing === undefined) return manager.consumers.add(INCREMENTS, config);
  const faults = findConsumerFaults(existing);
  if (faults.some(({ isFixed, isSkipping }) => isFixed === true || isSkipping === true)) {
    await find(manager.consumers.delete(INCREMENTS, COUNTER));
    return manager.consumers.add(INCREMENTS, config);
  }
  // An update leaves the pause as it is.
  if (faults.some(({ name }) => name === 'pause_until')) {
    await manager.consumers.resume(INCREMENTS, COUNTER);
  }
  return manager.consumers.update(INCREMENTS, COUNTER, config);
}

/** Another provisioning may delete the consumer at any moment, to make it again, and does so once. */
async function whileOthersDelete(apply: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await apply();
    } catch (error) {
      const reason = error instanceof ProvisionError ? error.cause : error;
      if (!isRefusal(reason, 'no-consumer', 'not-made') || attempt === ATTEMPTS_MAX) throw error;
    }
    await delay(AGAIN_MS);
  }
}

/** @throws ProvisionError */
function refuseFaults(faults: SettingFault[]): void {
  if (faults.length > 0) throw new ProvisionError(faults.map(describeFault).join('. '));
}

/** Undefined if there is none; any other error is thrown. */
async function find<Info>(info: Promise<Info>): Promise<Info | undefined> {
  try {
    return await info;
  } catch (error) {
    if (isRefusal(error, 'no-stream', 'no-consumer')) return undefined;
    throw error;
  }
}

function cannotApply(what: string, cause: unknown): Error {
  if (cause instanceof NoLeader || cause instanceof ProvisionError) return cause;
  const denial = findDenial(cause);
  if (denial !== undefined) return denial;
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new ProvisionError(
    `NATS does not accept the settings of ${what}: ${detail}. They are in nats/streams.ts and nats/settings.ts; ` +
      'compare them with `nats stream info` and change one or the other',
    { cause },
  );
}
