import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { NATS_ROLES, type NatsRole, type NatsTlsFiles } from '../../nats/connect.ts';
import { parseNatsUrl } from '../../nats/nats-url.ts';
import {
  libpqSettings,
  parseDatabaseUrl,
  withDatabaseUser,
} from '../../schema/database/database-url.ts';
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
  writeFileAtomically(join(contexts, 'mesh.json'), natsContext(natsUrlOf(mesh), mesh.natsTls));
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
 */
export function natsContext(url: string, tls: NatsTlsFiles = {}): string {
  const { servers, credentials, isTls } = parseNatsUrl(url);
  const user = credentials?.user;
  const context = {
    description: NATS_CONTEXT_DESCRIPTION,
    url: servers.map((server) => `${isTls ? 'tls' : 'nats'}://${server}`).join(','),
    // JSON leaves out what is undefined.
    user,
    password: credentials?.pass,
    // Our roles may only read their own inboxes; the user of another broker may have other rules.
    ...(isOurs(user) ? { inbox_prefix: `_INBOX_${user}` } : {}),
    ca: tls.caFile,
    cert: tls.certFile,
    key: tls.keyFile,
  };
  return `${JSON.stringify(context, null, 2)}\n`;
}

function isOurs(user: string | undefined): user is NatsRole {
  return NATS_ROLES.some((role) => role === user);
}
