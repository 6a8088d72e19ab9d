import proxyAddr from '@fastify/proxy-addr';
import { Type, type Static } from 'typebox';
import { judgeNatsAccess, NatsAccessSettings } from '../nats/access-settings.ts';
import { natsUrlSetting } from '../nats/nats-url.ts';
import { NatsSyncSetting } from '../nats/sync-setting.ts';
import { DatabaseSchemaSetting } from '../schema/database/database-names.ts';
import { StreamNameSetting } from '../nats/stream-settings.ts';
import { databaseUrlSetting } from '../schema/database/database-url.ts';
import { isLoopback } from '../schema/settings/loopback.ts';
import { ConfigurationError, readEnvironment } from '../schema/settings/environment.ts';
import { InstanceNameSetting } from '../telemetry/instance.ts';
import { LogLevel } from '../telemetry/log.ts';
import type { ForeignPagesOptions } from './auth/foreign-pages.ts';

/**
 * A stop takes at most this long after its notice (DRAIN_NOTICE_MS): more than the maximum of
 * PUBLISH_DEADLINE_MS, so that every request in flight is answered.
 */
export const STOP_MS_MAX = 35_000;

export const DRAIN_NOTICE_MS_MAX = 120_000;

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
  ...NatsSyncSetting,
  DATABASE_URL: databaseUrlSetting(
    'PostgreSQL for reads: postgres://mesh_increments_gateway:password@host:5432/increments',
  ),
  ...DatabaseSchemaSetting,
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
  KEEP_ALIVE_TIMEOUT_MS: Type.Integer({
    default: 65_000,
    minimum: 1_000,
    maximum: 3_600_000,
    description:
      'An idle connection is closed after this time; it must be longer than a proxy keeps one',
  }),
  DRAIN_NOTICE_MS: Type.Integer({
    default: 500,
    minimum: 0,
    maximum: DRAIN_NOTICE_MS_MAX,
    description:
      'At a stop, `/readyz` is 503 for this time before connections are refused: as long as a load balancer needs to notice',
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
      (list) => splitList(list).every((name) => HOST_NAME.test(name)),
      () => 'it must be a list like counters.example.com, gateway',
    ),
  ),
  CORS_ORIGINS: Type.Optional(
    Type.Refine(
      Type.String({
        description:
          'Origins whose pages may call this gateway from a browser, such as https://app.example.com; by default none',
      }),
      (list) => splitList(list).every(isOrigin),
      () => 'it must be a list like https://app.example.com, http://localhost:8080',
    ),
  ),
  ...InstanceNameSetting,
  LOG_LEVEL: LogLevel,
});
export type GatewayConfig = Static<typeof GatewayConfig>;

const HOST_NAME = /^[a-z0-9._:-]{1,253}$/;

/** In lower case. */
function splitList(list = ''): string[] {
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '');
}

/** Whether browsers write an origin so: scheme, host and a port that is not the scheme's own. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
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

/**
 * @param warn called with each warning, once there is no problem.
 * @throws ConfigurationError with every problem of the environment at once.
 */
export function readGatewayConfig(
  environment: NodeJS.ProcessEnv,
  warn: (warning: string) => void = () => undefined,
): GatewayConfig {
  const config = readEnvironment(GatewayConfig, environment);
  const { problems, warnings } = judgeNatsAccess(config, {
    url: config.NATS_URL,
    roles: ['gateway'],
  });
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
  warnings.forEach(warn);
  return config;
}

/** The hosts that requests may name where authentication is off. */
export function readHosts(config: GatewayConfig): ForeignPagesOptions {
  return {
    listeningHost: config.HOST.toLowerCase(),
    allowedHosts: splitList(config.ALLOWED_HOSTS),
    allowedOrigins: readCorsOrigins(config),
    // A proxy passes on the Host by which it was reached.
    hasOtherAddresses: !isLoopback(config.HOST) || config.TRUST_PROXY !== undefined,
  };
}

/** The origins whose pages may call this gateway. */
export function readCorsOrigins(config: GatewayConfig): string[] {
  return splitList(config.CORS_ORIGINS);
}
