import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { NatsAccess } from '../../nats/access-settings.ts';
import { NATS_ROLES, type NatsRole } from '../../nats/connect.ts';
import { parseNatsUrl, type NatsServers } from '../../nats/nats-url.ts';
import { inboxPrefixOf } from '../../nats/permissions.ts';
import { fileOfRole } from '../../nats/secret-file.ts';
import { libpqSettings, parseDatabaseUrl } from '../../schema/database/database-url.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import type { DataFolder } from './data-folder.ts';
import { natsUrlOf, type MeshFile } from './mesh-file.ts';

/** Marks a context as ours: one that the user made under the same name is not replaced. */
export const NATS_CONTEXT_DESCRIPTION = 'increment-mesh: looks at streams and services';

/**
 * Writes files for psql and the nats CLI, so that the commands to paste have no password, neither on the
 * screen nor in the shell's history. Both only look: the reader's role, and the inspector's.
 */
export function writeClientFiles({ path }: Pick<DataFolder, 'path'>, mesh: MeshFile): void {
  const folder = join(path, 'clients');
  const database = mesh.postgres.readerUrl ?? mesh.postgres.url;
  const contexts = join(folder, 'nats', 'context');
  mkdirSync(contexts, { recursive: true, mode: 0o700 });
  writeFileAtomically(join(folder, 'pg_service.conf'), postgresService(database));
  writeFileAtomically(
    join(contexts, 'mesh.json'),
    natsContext(natsUrlOf(mesh), 'inspector', mesh.natsAccess),
  );
}

function postgresService(url: string): string {
  const address = parseDatabaseUrl(url);
  const { rootCertFile } = address.tls;
  const settings = libpqSettings({
    ...address,
    // psql may be run in another folder.
    tls: {
      ...address.tls,
      ...(rootCertFile !== undefined && { rootCertFile: resolve(rootCertFile) }),
    },
  });
  return `[mesh]\n${Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')}`;
}

/**
 * The file of a nats CLI context. User and password are fields of their own, since some commands print the URL.
 *
 * @param role whose files and inbox it has.
 */
export function natsContext(url: string, role: NatsRole, access: NatsAccess = {}): string {
  const { servers, credentials, isTls } = parseNatsUrl(url);
  const { tls = {}, secretFile, inboxPrefix, domain } = access;
  const user = credentials !== undefined && 'user' in credentials ? credentials.user : undefined;
  const file = (path: string | undefined) =>
    path === undefined ? undefined : fileOfRole(path, role);
  const context = {
    description: NATS_CONTEXT_DESCRIPTION,
    url: servers.map((server) => `${isTls ? 'tls' : 'nats'}://${server}`).join(','),
    // JSON leaves out what is undefined.
    user,
    password: credentials !== undefined && 'pass' in credentials ? credentials.pass : undefined,
    token: tokenOf(credentials, secretFile, role),
    creds: secretFile?.kind === 'creds' ? file(secretFile.path) : undefined,
    nkey: secretFile?.kind === 'nkey' ? file(secretFile.path) : undefined,
    inbox_prefix: inboxPrefixOf(isOurs(user) ? user : role, inboxPrefix),
    jetstream_domain: domain,
    ca: file(tls.caFile),
    cert: file(tls.certFile),
    key: file(tls.keyFile),
  };
  return `${JSON.stringify(context, null, 2)}\n`;
}

/** The nats CLI reads none from a file. */
function tokenOf(
  credentials: NatsServers['credentials'],
  secretFile: NatsAccess['secretFile'],
  role: NatsRole,
): string | undefined {
  if (credentials !== undefined && 'token' in credentials) return credentials.token;
  if (secretFile?.kind !== 'token') return undefined;
  return readFileSync(fileOfRole(secretFile.path, role), 'utf8').trim();
}

function isOurs(user: string | undefined): user is NatsRole {
  return NATS_ROLES.some((role) => role === user);
}
