import {
  jetstreamManager,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { connectToNats } from './connect.ts';
import {
  counterConsumer,
  deadLettersStream,
  INCREMENTS,
  incrementsStream,
  type TopologyOptions,
} from './topology.ts';

/** Older servers have no `sync_interval: always` or lose what a work queue needs. */
const SERVER_VERSION_MIN = [2, 11] as const;

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
 * @throws ProvisionError where the server is too old or refuses a setting.
 */
export async function provision(options: TopologyOptions & { url: string }): Promise<void> {
  const connection = await connectToNats({ url: options.url, role: 'provisioner' });
  try {
    const version = connection.info?.version ?? 'unknown';
    if (isOlder(version)) {
      throw new ProvisionError(
        `nats-server ${version} is too old: version ${SERVER_VERSION_MIN.join('.')} or later is needed`,
      );
    }
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 10_000 });
    await applyStream(manager, incrementsStream(options));
    await applyStream(manager, deadLettersStream(options));
    await applyConsumer(manager, options);
  } finally {
    await connection.close();
  }
}

/**
 * A stream that is there is updated, not added again: an identical `add` is fine for NATS, but it
 * reserves the stream's `max_bytes` a second time before it looks.
 */
async function applyStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
): Promise<void> {
  try {
    const existing = await find(manager.streams.info(config.name));
    if (existing === undefined) {
      await manager.streams.add(config);
      return;
    }
    const { num_replicas: replicas } = existing.config;
    await manager.streams.update(config.name, { num_replicas: replicas, ...config });
  } catch (error) {
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

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [neededMajor, neededMinor] = SERVER_VERSION_MIN;
  return major < neededMajor || (major === neededMajor && minor < neededMinor);
}
