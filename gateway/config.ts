import proxyAddr from '@fastify/proxy-addr';
import { Type, type Static } from 'typebox';
import { judgeNatsAccess, NatsAccessSettings } from '../nats/access-settings.ts';
import { natsUrlSetting } from '../nats/nats-url.ts';
import { StreamNameSetting } from '../nats/stream-settings.ts';
import { databaseUrlSetting } from '../schema/database/database-url.ts';
import { isLoopback } from '../schema/settings/loopback.ts';
import { ConfigurationError, readEnvironment } from '../schema/settings/environment.ts';
import { LogLevel } from '../telemetry/log.ts';
import type { ForeignPagesOptions } from './auth/foreign-pages.ts';

/**
 * A stop takes at most this long: more than the maximum of PUBLISH_DEADLINE_MS, so that every request in
 * flight is answered.
 */
export const STOP_MS_MAX = 35_000;

/** All that a gateway takes; also the limit of what one address may be given. */
export const CONNECTIONS_MAX = 10_000;

/** The gateway's settings, each an environment variable. The documented table is made from these. */
export const GatewayConfig = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', minLength: 1, description: 'Address to listen on' }),
  PORT: Type.Integer({
    default: 3000,
    minimum: 0,
    maximum: 65_535,
    description: 'Port to listen on',
  }),
  REUSE_PORT: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1,
    description: '1 lets several gateways share the port (SO_REUSEPORT, not on macOS)',
  }),
  NATS_URL: natsUrlSetting(
    "The broker, with the gateway's user and password: nats://user:password@host:4222; several servers are separated by commas",
  ),
  ...NatsAccessSettings,
  ...StreamNameSetting,
  DATABASE_URL: databaseUrlSetting(
    'PostgreSQL for reads: postgres://mesh_gateway:password@host:5432/increments',
  ),
  PUBLISH_DEADLINE_MS: Type.Integer({
    default: 5_000,
    minimum: 100,
    maximum: 30_000,
    description: 'A request that the broker has not acknowledged in this time is answered 503',
  }),
  WAITING_MAX: Type.Integer({
    default: 20_000,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Increments that may wait for the broker in one gateway; more are answered 503',
  }),
  RATE_LIMIT_MAX: Type.Integer({
    default: 6_000,
    minimum: 0,
    maximum: 1_000_000_000,
    description:
      'Requests in a window for each client, over all gateways; 0 turns it off (as `npm start` does)',
  }),
  RATE_LIMIT_BATCH_MAX: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1_000_000_000,
    description:
      'Increments in a window that a client may send by `POST /increments`; 0 turns it off',
  }),
  RATE_LIMIT_WINDOW_MS: Type.Integer({
    default: 60_000,
    minimum: 100,
    maximum: 86_400_000,
    description: 'Length of the rate limit windows',
  }),
  CONNECTIONS_PER_ADDRESS_MAX: Type.Integer({
    default: 1_000,
    minimum: 1,
    maximum: CONNECTIONS_MAX,
    description:
      'Connections from one address (of IPv6, one /64 network), except those in TRUST_PROXY',
  }),
  API_KEYS_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'File of API keys, which turns authentication on; made by `npm run mesh -- keys`',
    }),
  ),
  AUTH: Type.Optional(
    Type.Literal('off', {
      description: '`off` confirms that a gateway beyond loopback is to be open to everyone',
    }),
  ),
  TLS_CERT_FILE: Type.Optional(
    Type.String({ minLength: 1, description: 'Certificate (PEM); with a key it turns HTTPS on' }),
  ),
  TLS_KEY_FILE: Type.Optional(Type.String({ minLength: 1, description: 'Private key (PEM)' })),
  TRUST_PROXY: Type.Optional(
    Type.Refine(
      Type.String({
        description:
          'Addresses or networks of proxies whose X-Forwarded-For is trusted; by default none',
      }),
      isTrustList,
      () => 'it must be a list like 10.0.0.0/8, 192.0.2.1, 2001:db8::/32',
    ),
  ),
  ALLOWED_HOSTS: Type.Optional(
    Type.Refine(
      Type.String({
        description:
          'Where authentication is off: further host names under which clients reach the gateway, without ports',
      }),
      (list) => splitHosts(list).every((name) => HOST_NAME.test(name)),
      () => 'it must be a list like counters.example.com, gateway',
    ),
  ),
  LOG_LEVEL: LogLevel,
});
export type GatewayConfig = Static<typeof GatewayConfig>;

const HOST_NAME = /^[a-z0-9._:-]{1,253}$/;

function splitHosts(list = ''): string[] {
  return list
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
}

/** Parses the list as Fastify does. */
function isTrustList(list: string): boolean {
  try {
    proxyAddr.compile(list.split(',').map((entry) => entry.trim()));
    return true;
  } catch {
    return false;
  }
}

/** @throws ConfigurationError with every problem of the environment at once. */
export function readGatewayConfig(environment: NodeJS.ProcessEnv): GatewayConfig {
  const config = readEnvironment(GatewayConfig, environment);
  const { problems } = judgeNatsAccess(config, { url: config.NATS_URL, roles: ['gateway'] });
  if (!isLoopback(config.HOST) && config.API_KEYS_FILE === undefined && config.AUTH !== 'off') {
    problems.push(
      `HOST is ${config.HOST}, which others can reach, and authentication is off: set API_KEYS_FILE, or AUTH=off`,
    );
  }
  if (config.API_KEYS_FILE !== undefined && config.AUTH === 'off') {
    problems.push('API_KEYS_FILE is set and AUTH is off: leave out one of them');
  }
  if ((config.TLS_CERT_FILE === undefined) !== (config.TLS_KEY_FILE === undefined)) {
    problems.push('TLS_CERT_FILE and TLS_KEY_FILE go together: set both or none');
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return config;
}

/** The hosts that requests may name where authentication is off. */
export function readHosts(config: GatewayConfig): ForeignPagesOptions {
  return {
    listeningHost: config.HOST.toLowerCase(),
    allowedHosts: splitHosts(config.ALLOWED_HOSTS),
    // A proxy passes on the Host by which it was reached.
    hasOtherAddresses: !isLoopback(config.HOST) || config.TRUST_PROXY !== undefined,
  };
}
