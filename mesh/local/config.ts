import { Type, type Static } from 'typebox';
import type { NatsTlsFiles } from '../../nats/connect.ts';
import { natsUrlSetting } from '../../nats/nats-url.ts';
import { NatsSyncSetting } from '../../nats/sync-setting.ts';
import { natsTlsFiles, NatsTlsSettings } from '../../nats/tls-settings.ts';
import { DatabaseSchemaSetting, RolePrefixSetting } from '../../schema/database/database-names.ts';
import { databaseUrlSetting } from '../../schema/database/database-url.ts';
import { ServiceUrlSettings } from '../database/service-urls.ts';
import { readEnvironment } from '../../schema/settings/environment.ts';

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
    natsUrlSetting('Existing NATS server to use: nats://user:password@host:port'),
  ),
  ...NatsTlsSettings,
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
      enum: [1, 3],
      description:
        'How many nats-servers keep each message: 1 or 3; by default NATS_NODES, or as it is at NATS_URL',
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
  return readEnvironment(MeshSettings, environment);
}

/** For the brokers at NATS_URL; our own listen on loopback, without TLS. */
export function meshNatsTls(settings: MeshSettings): { tls?: NatsTlsFiles } {
  return settings.NATS_URL === undefined ? {} : natsTlsFiles(settings);
}
