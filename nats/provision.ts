import {
  jetstreamManager,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { connectToNats, type ConnectOptions } from './connect.ts';
import { isRefusal } from './error-codes.ts';
import { retryWhileLeaderless, NoLeader } from './retry-while-leaderless.ts';
import { untilReplicasCurrent, type Replicas } from './replicas.ts';
import {
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

/** Thrown if the broker can't get the settings that this version needs; says what to do. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
}

export interface ProvisionOptions extends StreamOptions, Pick<ConnectOptions, 'url' | 'tls'> {
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
  const { url, tls, onWait } = options;
  const connection = await connectToNats({ url, role: 'provisioner', ...(tls && { tls }) });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
    await applyStream(manager, incrementsStream(options));
    await applyStream(manager, deadLettersStream(options));
    await applyConsumer(manager, options);
    await untilReplicasCurrent(manager, {
      timeoutMs: CATCH_UP_MS_MAX,
      awayMs: AWAY_MS_MAX,
      ...(onWait && { onWait }),
    });
  } finally {
    await connection.close();
  }
}

/**
 * Updates a stream that exists, and does not add it again: NATS accepts an identical `add`, but first
 * reserves the `max_bytes` of the stream a second time.
 */
async function applyStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
): Promise<void> {
  try {
    await retryWhileLeaderless(async () => {
      const existing = await find(manager.streams.info(config.name));
      if (existing === undefined) return manager.streams.add(config);
      refuseReplicasOfOne(config, existing);
      const { num_replicas } = existing.config;
      return manager.streams.update(config.name, { num_replicas, ...config });
    });
  } catch (error) {
    if (isRefusal(error, 'too-few-servers')) {
      throw tooFewServers(config, error.message, error);
    }
    throw cannotApply(config.name, error);
  }
}

/** nats-server 2.14 accepts them, and they are never current. */
function refuseReplicasOfOne(
  config: { name: string; num_replicas?: number },
  { cluster }: StreamInfo,
) {
  if ((config.num_replicas ?? 1) > 1 && !cluster?.name)
    throw tooFewServers(config, 'it is no cluster');
}

function tooFewServers(
  { name, num_replicas = 1 }: { name: string; num_replicas?: number },
  detail: string,
  cause?: unknown,
): ProvisionError {
  return new ProvisionError(
    `NATS can't keep ${num_replicas} replicas of ${name} (${detail}): give it a ` +
      'cluster of that many servers with room for its max_bytes, or set REPLICAS=1',
    { cause },
  );
}

async function applyConsumer(manager: JetStreamManager, options: StreamOptions): Promise<void> {
  const config = counterConsumer(options);
  try {
    await retryWhileLeaderless(async () => {
      const existing = await find(manager.consumers.info(INCREMENTS, config.durable_name));
      return existing === undefined
        ? manager.consumers.add(INCREMENTS, config)
        : manager.consumers.update(INCREMENTS, config.durable_name, config);
    });
  } catch (error) {
    throw cannotApply(`consumer ${config.durable_name}`, error);
  }
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
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new ProvisionError(
    `NATS does not accept the settings of ${what}: ${detail}. They are in nats/streams.ts; ` +
      'compare them with `nats stream info` and change one or the other',
    { cause },
  );
}
