import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { moveStreams } from '../files/move-streams.ts';
import { readEnvironment } from '../../schema/settings/environment.ts';
import { SecretsConfig } from './config.ts';
import { makeSecrets, USERS } from './secrets.ts';

// The first one-shot step of compose.yaml, and the only one that runs as root: it makes the secrets and
// gives every new volume, which belongs to root, to the user of its container.

const { NATS_SERVERS } = readEnvironment(SecretsConfig, process.env);
const natsServers = NATS_SERVERS.split(',');
makeSecrets('/secrets', natsServers);

const DATA = '/data';
for (const volume of existsSync(DATA) ? readdirSync(DATA) : []) {
  const user = volume === 'postgres' ? USERS.postgres : USERS.nats;
  chownSync(join(DATA, volume), user, user);
}

for (const server of natsServers) {
  const { isMoved, obstacle } = moveStreams(join(DATA, server), natsServers.length > 1);
  if (obstacle !== undefined) {
    process.stderr.write(`${obstacle}\n`);
    process.exit(1);
  }
  if (isMoved) process.stdout.write(`moved the streams of ${server} to their account\n`);
}
