import { Type } from 'typebox';
import { NatsAccessSettings } from '../../nats/access-settings.ts';
import { natsUrlSetting } from '../../nats/nats-url.ts';
import { NatsSyncSetting } from '../../nats/sync-setting.ts';
import { DatabaseSchemaSetting, RolePrefixSetting } from '../../schema/database/database-names.ts';
import { StreamBytesMaxSetting, StreamNameSetting } from '../../nats/stream-settings.ts';
import { databaseUrlSetting } from '../../schema/database/database-url.ts';
import { ServiceUrlSettings } from '../database/service-urls.ts';

/** The settings of make-secrets.ts. */
export const SecretsConfig = Type.Object({
  NATS_SERVERS: Type.String({
    default: 'nats-1,nats-2,nats-3',
    pattern: '^[a-z0-9-]+(,[a-z0-9-]+)*$',
    description: 'The host names of the brokers, separated by commas',
  }),
});

function connectionsMax(role: string) {
  return Type.Optional(
    Type.Integer({
      minimum: 4,
      maximum: 100_000,
      description: `Connections that ${role} may have; by default two fifths of those of the server`,
    }),
  );
}

/** The settings of provision.ts. */
export const ProvisionConfig = Type.Object({
  NATS_URL: natsUrlSetting("The brokers, with the provisioner's user and password"),
  ...NatsAccessSettings,
  ...StreamNameSetting,
  ...NatsSyncSetting,
  DATABASE_URL: Type.Optional(
    databaseUrlSetting(
      'PostgreSQL, with the role that owns the tables; without it a DBA makes them: `npm run mesh -- sql`',
    ),
  ),
  ...DatabaseSchemaSetting,
  ...RolePrefixSetting,
  GATEWAY_DATABASE_PASSWORD: Type.Optional(
    Type.String({ description: "For the gateways' role, which is made" }),
  ),
  COUNTER_DATABASE_PASSWORD: Type.Optional(
    Type.String({ description: "For the counter services' role, which is made" }),
  ),
  READER_DATABASE_PASSWORD: Type.Optional(
    Type.String({ description: 'For the role of people who look; without it that is not made' }),
  ),
  ...ServiceUrlSettings,
  SUPERUSER_DATABASE_URL: Type.Optional(
    databaseUrlSetting(
      "For a PostgreSQL that is the mesh's own: its role postgres, which makes the database and the role owner of DATABASE_URL",
    ),
  ),
  GATEWAY_CONNECTIONS_MAX: connectionsMax("the gateways' role"),
  COUNTER_CONNECTIONS_MAX: connectionsMax("the counter services' role"),
  REPLICAS: Type.Integer({
    default: 3,
    enum: [1, 3, 5],
    description: 'How many brokers keep each message',
  }),
  ...StreamBytesMaxSetting,
  FLUSH_INTERVAL_MS: Type.Integer({
    default: 9_000,
    minimum: 100,
    maximum: 9_000,
    description: "As the counter services have it; sets the consumer's ack_wait",
  }),
});
