import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { generatePassword } from '../files/generate-password.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';

/** The users of compose.yaml: one for each container, so that it can only read its own secrets. */
export const USERS = {
  gateway: 10_001,
  counter: 10_002,
  nats: 10_003,
  prepare: 10_004,
  inspector: 10_005,
  postgres: 70,
  grafana: 472,
} as const;
export type User = keyof typeof USERS;

interface SecretFile {
  path: string;
  user: User;
  content: string;
}

/** Every password of the mesh. */
const PASSWORDS = [
  'GATEWAY_NATS_PASSWORD',
  'COUNTER_NATS_PASSWORD',
  'INSPECTOR_NATS_PASSWORD',
  'PROVISIONER_NATS_PASSWORD',
  'OPERATOR_NATS_PASSWORD',
  'CLUSTER_NATS_PASSWORD',
  'SUPERUSER_DATABASE_PASSWORD',
  'OWNER_DATABASE_PASSWORD',
  'GATEWAY_DATABASE_PASSWORD',
  'COUNTER_DATABASE_PASSWORD',
  'READER_DATABASE_PASSWORD',
  'GRAFANA_PASSWORD',
] as const;
type Passwords = Record<(typeof PASSWORDS)[number], string>;

/**
 * Makes the passwords of a mesh in containers, and from them the files that each container reads. It is
 * repeated at every start: passwords stay, and the files are made again, so that a new version of the
 * mesh finds what it needs.
 *
 * @param natsServers host names of the brokers.
 * @param users the user ids that get the files; only root can give files to other users.
 */
export function makeSecrets(
  folder: string,
  natsServers: string[],
  users: Record<User, number> = USERS,
): void {
  const passwords = keepPasswords(join(folder, 'passwords.env'));
  for (const { path, user, content } of secretFiles(passwords, natsServers)) {
    const file = join(folder, path);
    for (let parent = dirname(file); parent !== folder; parent = dirname(parent)) {
      mkdirSync(parent, { recursive: true });
      chmodSync(parent, 0o755);
    }
    writeFileAtomically(file, content, 0o400);
    chownSync(file, users[user], users[user]);
  }
}

/** As nats/server.conf has it. */
const NATS_SYNC = 'always';

function keepPasswords(file: string): Passwords {
  const kept = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  const passwords = Object.fromEntries(
    PASSWORDS.map((name) => [name, kept[name] ?? generatePassword()]),
  ) as Passwords;
  writeFileAtomically(file, environment(passwords), 0o400);
  return passwords;
}

function secretFiles(passwords: Passwords, natsServers: string[]): SecretFile[] {
  const nats = (role: string, password: string) =>
    natsServers.map((server) => `nats://${role}:${password}@${server}:4222`).join(',');
  const database = (role: string, password: string) =>
    `postgres://${role}:${password}@postgres:5432/increments`;
  const routes = natsServers.map(
    (server) => `"nats://cluster:${passwords.CLUSTER_NATS_PASSWORD}@${server}:6222"`,
  );
  return [
    {
      path: 'gateway.env',
      user: 'gateway',
      content: environment({
        NATS_URL: nats('gateway', passwords.GATEWAY_NATS_PASSWORD),
        NATS_SYNC,
        DATABASE_URL: database('mesh_gateway', passwords.GATEWAY_DATABASE_PASSWORD),
      }),
    },
    {
      path: 'counter.env',
      user: 'counter',
      content: environment({
        NATS_URL: nats('counter', passwords.COUNTER_NATS_PASSWORD),
        DATABASE_URL: database('mesh_counter', passwords.COUNTER_DATABASE_PASSWORD),
      }),
    },
    {
      path: 'prepare.env',
      user: 'prepare',
      content: environment({
        NATS_URL: nats('provisioner', passwords.PROVISIONER_NATS_PASSWORD),
        NATS_SYNC,
        SUPERUSER_DATABASE_URL: database('postgres', passwords.SUPERUSER_DATABASE_PASSWORD),
        DATABASE_URL: database('owner', passwords.OWNER_DATABASE_PASSWORD),
        GATEWAY_DATABASE_PASSWORD: passwords.GATEWAY_DATABASE_PASSWORD,
        COUNTER_DATABASE_PASSWORD: passwords.COUNTER_DATABASE_PASSWORD,
        READER_DATABASE_PASSWORD: passwords.READER_DATABASE_PASSWORD,
      }),
    },
    {
      path: 'nats.env',
      user: 'nats',
      content: environment({
        GATEWAY_NATS_PASSWORD: passwords.GATEWAY_NATS_PASSWORD,
        COUNTER_NATS_PASSWORD: passwords.COUNTER_NATS_PASSWORD,
        INSPECTOR_NATS_PASSWORD: passwords.INSPECTOR_NATS_PASSWORD,
        PROVISIONER_NATS_PASSWORD: passwords.PROVISIONER_NATS_PASSWORD,
        OPERATOR_NATS_PASSWORD: passwords.OPERATOR_NATS_PASSWORD,
        CLUSTER_NATS_PASSWORD: passwords.CLUSTER_NATS_PASSWORD,
        NATS_ROUTES: `[${routes.join(', ')}]`,
      }),
    },
    // The nats CLI looks for contexts here: one looks at the mesh, one at its brokers.
    {
      path: 'inspector/nats/context/mesh.json',
      user: 'inspector',
      content: natsContext('inspector', passwords.INSPECTOR_NATS_PASSWORD, natsServers),
    },
    {
      path: 'inspector/nats/context/servers.json',
      user: 'inspector',
      content: natsContext('operator', passwords.OPERATOR_NATS_PASSWORD, natsServers),
    },
    { path: 'postgres-password', user: 'postgres', content: passwords.SUPERUSER_DATABASE_PASSWORD },
    { path: 'grafana-password', user: 'grafana', content: passwords.GRAFANA_PASSWORD },
  ];
}

function natsContext(user: string, password: string, natsServers: string[]): string {
  const url = natsServers.map((server) => `nats://${server}:4222`).join(',');
  return `${JSON.stringify({ url, user, password, inbox_prefix: `_INBOX.${user}` })}\n`;
}

/** In the form that both a shell and Node's --env-file read. */
function environment(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join('');
}
