import {
  jetstreamManager,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { connectToNats, type ConnectOptions } from './connect.ts';
import { lacksServers, untilReplicasCurrent } from './replicas.ts';
import {
  counterConsumer,
  deadLettersStream,
  INCREMENTS,
  incrementsStream,
  type TopologyOptions,
} from './topology.ts';

/** New replicas copy the whole stream; gateways and counters are not started before. */
const CATCH_UP_MS_MAX = 10 * 60_000;

/** Error codes of JetStream's API: no such stream, no such consumer. */
const NOT_FOUND_CODES = [10059, 10014];

/** Raised where the broker can't be brought to what this version needs; says what to do. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
}

/**
 * Makes the two streams and the consumer, or brings them to this version's settings. Safe to repeat
 * and to run several times at once.
 *
 * @throws CannotConnect where the server is too old, ProvisionError where it refuses a setting.
 */
export async function provision(
  options: TopologyOptions & Pick<ConnectOptions, 'url' | 'tls'>,
): Promise<void> {
  const { url, tls } = options;
  const connection = await connectToNats({ url, role: 'provisioner', ...(tls && { tls }) });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 10_000 });
    const isMore = [
      await applyStream(manager, incrementsStream(options)),
      await applyStream(manager, deadLettersStream(options)),
    ];
    await applyConsumer(manager, options);
    if (isMore.includes(true)) {
      const deadlineMs = performance.now() + CATCH_UP_MS_MAX;
      await untilReplicasCurrent(manager, { deadlineMs });
    }
  } finally {
    await connection.close();
  }
}

/**
 * A stream that is there is updated, not added again: an identical `add` is fine for NATS, but it
 * reserves the stream's `max_bytes` a second time before it looks. Tells whether there are to be more
 * replicas than before.
 */
async function applyStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
): Promise<boolean> {
  try {
    const existing = await find(manager.streams.info(config.name));
    if (existing === undefined) {
      await manager.streams.add(config);
      return false;
    }
    const { num_replicas: replicas } = existing.config;
    await manager.streams.update(config.name, { num_replicas: replicas, ...config });
    return (config.num_replicas ?? 0) > replicas;
  } catch (error) {
    if (lacksServers(error)) {
      throw new ProvisionError(
        `NATS can't keep ${config.num_replicas ?? 1} replicas of ${config.name} (${error.message}): give it a ` +
          'cluster of as many servers with room for its max_bytes, or set REPLICAS=1',
        { cause: error },
      );
    }
    throw cannotApply(config.name, error);
  }
}

async function applyConsumer(manager: JetStreamManager, options: TopologyOptions): Promise<void> {
  const config = counterConsumer(options);
  try {
    const existing = await find(manager.consumers.info(INCREMENTS, config.durable_name));
    if (existing === undefined) await manager.consumers.add(INCREMENTS, config);
    else await manager.consumers.update(INCREMENTS, config.durable_name, config);
  } catch (error) {
    throw cannotApply(`consumer ${config.durable_name}`, error);
  }
}

/** Undefined where there is none; any other error is thrown. */
async function find<Info>(info: Promise<Info>): Promise<Info | undefined> {
  try {
    return await info;
  } catch (error) {
    if (error instanceof JetStreamApiError && NOT_FOUND_CODES.includes(error.code))
      return undefined;
    throw error;
  }
}

function cannotApply(what: string, cause: unknown): ProvisionError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new ProvisionError(
    `NATS does not accept the settings of ${what}: ${detail}. They are in nats/topology.ts; ` +
      'compare them with `nats stream info` and change one or the other',
    { cause },
  );
}
