import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readEnvironment } from '../../schema/settings/environment.ts';
import { SecretsConfig } from './config.ts';
import { makeSecrets, USERS } from './secrets.ts';

// The first one-shot step of compose.yaml, and the only one that runs as root: it makes the secrets and
// gives every new volume, which belongs to root, to the user of its container.

const { NATS_SERVERS } = readEnvironment(SecretsConfig, process.env);
makeSecrets('/secrets', NATS_SERVERS.split(','));

const DATA = '/data';
for (const volume of existsSync(DATA) ? readdirSync(DATA) : []) {
  const user = volume === 'postgres' ? USERS.postgres : USERS.nats;
  chownSync(join(DATA, volume), user, user);
}
