import { Type, type Static } from 'typebox';
import type { NatsTlsFiles } from '../../nats/connect.ts';
import { natsUrlSetting } from '../../nats/nats-url.ts';
import { natsTlsFiles, NatsTlsSettings } from '../../nats/tls-settings.ts';
import { databaseUrlSetting } from '../../schema/database/database-url.ts';
import { readEnvironment } from '../../schema/settings/environment.ts';

/** What `npm start` itself reads. Every other variable is passed on to the services untouched. */
export const MeshSettings = Type.Object({
  GATEWAYS: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 2,
    description: 'how many gateways share the port',
  }),
  COUNTERS: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 2,
    description: 'how many counters share the consumer',
  }),
  NATS_NODES: Type.Integer({
    enum: [1, 3],
    default: 1,
    description: 'how many nats-servers run: 1, or 3 as a cluster that keeps every message 3 times',
  }),
  PROXY: Type.Integer({
    minimum: 0,
    maximum: 1,
    default: 0,
    description: '1 puts Caddy, from the PATH, before the gateways, each on a port of its own',
  }),
  PORT: Type.Integer({
    minimum: 1,
    maximum: 65_535,
    default: 3000,
    description: 'the port of the gateways',
  }),
  HOST: Type.String({ default: '127.0.0.1', description: 'the address the gateways listen on' }),
  DATA_DIR: Type.String({
    default: '.mesh',
    description: 'the folder of everything that survives a restart',
  }),
  NATS_URL: Type.Optional(
    natsUrlSetting('an existing NATS server to use, as nats://user:password@host:port'),
  ),
  ...NatsTlsSettings,
  DATABASE_URL: Type.Optional(
    databaseUrlSetting(
      "an existing database to use, its owner's postgres://user:password@host:port/name",
    ),
  ),
  NATS_SERVER_BIN: Type.Optional(Type.String({ description: 'the path of a nats-server' })),
  REPLICAS: Type.Optional(
    Type.Integer({
      enum: [1, 3],
      description:
        'how many nats-servers keep each message: 1 or 3; left out, NATS_NODES, or at NATS_URL as it is',
    }),
  ),
  FLUSH_INTERVAL_MS: Type.Integer({
    minimum: 100,
    maximum: 9_000,
    default: 9000,
    description: 'the time from the oldest increment to its flush, for the consumer’s ack_wait',
  }),
});
export type MeshSettings = Static<typeof MeshSettings>;

/** @throws ConfigurationError naming every variable that is wrong. */
export function readMeshSettings(environment: NodeJS.ProcessEnv): MeshSettings {
  return readEnvironment(MeshSettings, environment);
}

/** For the brokers at NATS_URL; those that the mesh starts listen on loopback and speak no TLS. */
export function meshNatsTls(settings: MeshSettings): { tls?: NatsTlsFiles } {
  return settings.NATS_URL === undefined ? {} : natsTlsFiles(settings);
}
