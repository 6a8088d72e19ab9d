import { Type, type Static } from 'typebox';
import {
  judgeNatsAccess,
  natsAccess,
  NatsAccessSettings,
  type NatsAccess,
} from '../../nats/access-settings.ts';
import type { NatsRole } from '../../nats/connect.ts';
import { natsUrlSetting } from '../../nats/nats-url.ts';
import { NatsSyncSetting } from '../../nats/sync-setting.ts';
import { DatabaseSchemaSetting, RolePrefixSetting } from '../../schema/database/database-names.ts';
import { databaseUrlSetting } from '../../schema/database/database-url.ts';
import { ServiceUrlSettings } from '../database/service-urls.ts';
import { ConfigurationError, readEnvironment } from '../../schema/settings/environment.ts';
import { StreamBytesMaxSetting, StreamNameSetting } from '../../nats/stream-settings.ts';

/** What `npm start` reads. It passes every other variable on to the services. */
export const MeshSettings = Type.Object({
  GATEWAYS: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 2,
    description: 'Number of gateways, which share the port',
  }),
  COUNTERS: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 2,
    description: 'Number of counter services',
  }),
  NATS_NODES: Type.Integer({
    enum: [1, 3],
    default: 1,
    description:
      'Number of nats-servers: 1, or 3 as a cluster that keeps every message three times',
  }),
  PROXY: Type.Integer({
    minimum: 0,
    maximum: 1,
    default: 0,
    description: '1 puts Caddy (from the PATH) in front of the gateways, each on a port of its own',
  }),
  PORT: Type.Integer({
    minimum: 1,
    maximum: 65_535,
    default: 3000,
    description: 'Port of the gateways, or of the proxy',
  }),
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
  DATA_DIR: Type.String({
    default: '.mesh',
    description: 'Folder of everything that survives a restart',
  }),
  NATS_URL: Type.Optional(
    natsUrlSetting(
      'Existing NATS servers to use, as one who may make streams: nats://user:password@host:port,…',
    ),
  ),
  GATEWAY_NATS_URL: Type.Optional(
    natsUrlSetting('The same servers with the user of gateways, unless all are one user'),
  ),
  COUNTER_NATS_URL: Type.Optional(
    natsUrlSetting('The same servers with the user of counter services'),
  ),
  ...NatsAccessSettings,
  ...StreamNameSetting,
  ...StreamBytesMaxSetting,
  ...NatsSyncSetting,
  DATABASE_URL: Type.Optional(
    databaseUrlSetting(
      'Existing database to use, as its owner: postgres://user:password@host:port/name',
    ),
  ),
  ...DatabaseSchemaSetting,
  ...RolePrefixSetting,
  ...ServiceUrlSettings,
  NATS_SERVER_BIN: Type.Optional(Type.String({ description: 'Path of a nats-server' })),
  REPLICAS: Type.Optional(
    Type.Integer({
      enum: [1, 3, 5],
      description:
        'How many nats-servers keep each message; by default NATS_NODES, or as it is at NATS_URL',
    }),
  ),
  FLUSH_INTERVAL_MS: Type.Integer({
    minimum: 100,
    maximum: 9_000,
    default: 9000,
    description:
      'Age of the oldest increment at which counter services flush; also sets the ack_wait',
  }),
});
export type MeshSettings = Static<typeof MeshSettings>;

/** @throws ConfigurationError naming every variable that is wrong. */
export function readMeshSettings(environment: NodeJS.ProcessEnv): MeshSettings {
  const settings = readEnvironment(MeshSettings, environment);
  const problems = findNatsProblems(settings);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return settings;
}

/** The roles that connect to brokers at NATS_URL. */
const ROLES = ['provisioner', 'gateway', 'counter', 'inspector'] as const;

function findNatsProblems(settings: MeshSettings): string[] {
  const { NATS_URL, STREAM_NAME, GATEWAY_NATS_URL, COUNTER_NATS_URL } = settings;
  if (NATS_URL !== undefined) {
    const urls = ROLES.map((role) => [role, natsUrlsAt(NATS_URL, settings)[role]] as const);
    const problems = urls.flatMap(
      ([role, url]) => judgeNatsAccess(settings, { url, roles: [role] }).problems,
    );
    return [...new Set(problems)];
  }
  const problems: string[] = [];
  if (GATEWAY_NATS_URL !== undefined || COUNTER_NATS_URL !== undefined) {
    problems.push(
      'GATEWAY_NATS_URL and COUNTER_NATS_URL are for brokers at NATS_URL: set that too, or leave them out',
    );
  }
  if (STREAM_NAME !== 'INCREMENTS') {
    problems.push('STREAM_NAME is for brokers at NATS_URL: those of npm start have one mesh each');
  }
  return problems;
}

/** Of existing servers, where one user may stand for all roles. */
export function natsUrlsAt(url: string, settings: MeshSettings): Record<NatsRole, string> {
  return {
    gateway: settings.GATEWAY_NATS_URL ?? url,
    counter: settings.COUNTER_NATS_URL ?? url,
    inspector: url,
    provisioner: url,
    operator: url,
  };
}

/** For the brokers at NATS_URL; our own listen on loopback, without TLS. */
export function meshNatsAccess(settings: MeshSettings): NatsAccess {
  return settings.NATS_URL === undefined ? {} : natsAccess(settings);
}
