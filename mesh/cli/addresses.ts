import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { NatsRole, NatsTlsFiles } from '../../nats/connect.ts';
import type { Secrets } from '../local/data-folder.ts';
import { natsUrlOf, type MeshFile } from '../local/mesh-file.ts';
import { NoAnswer } from './errors.ts';

/** Where the servers of a mesh are, and whom to be there. */
export interface Addresses {
  nats: (role: 'inspector' | 'provisioner') => string;
  /** Undefined where the brokers speak no TLS. */
  natsTls: NatsTlsFiles | undefined;
  /** The owner's. */
  database: string;
  /** What `npm start` runs on this machine; undefined for a mesh that is given by its addresses. */
  mesh: MeshFile | undefined;
}

/**
 * Finds the servers: by the URLs where they are given, else what the mesh on the data folder wrote
 * into its `mesh.json`.
 *
 * @throws NoAnswer where neither tells.
 */
export function findAddresses(given: {
  natsUrl: string | undefined;
  natsTls: NatsTlsFiles | undefined;
  databaseUrl: string | undefined;
  dataDir: string;
}): Addresses {
  const { natsUrl, databaseUrl } = given;
  const folder = resolve(given.dataDir);
  const isWhole = natsUrl !== undefined && databaseUrl !== undefined;
  const mesh = isWhole ? undefined : readMeshFile(folder);

  const find = (url: string | undefined, embedded: () => string, what: string) => {
    if (url !== undefined) return url;
    if (mesh !== undefined) return embedded();
    throw new NoAnswer(
      `no mesh runs on ${folder}, so its ${what} is unknown: start one with npm start, choose ` +
        'another by DATA_DIR, or name the servers by --nats-url and --database-url',
    );
  };
  return {
    nats: (role) => find(natsUrl, () => embeddedNats(mesh!, folder, role), 'broker'),
    natsTls: natsUrl === undefined ? mesh?.natsTls : given.natsTls,
    get database() {
      return find(databaseUrl, () => mesh!.postgres.url, 'database');
    },
    // With a broker of somebody else, the services on it may be other ones.
    mesh: natsUrl === undefined ? mesh : undefined,
  };
}

function readMeshFile(folder: string): MeshFile | undefined {
  const path = join(folder, 'mesh.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as MeshFile) : undefined;
}

/** `mesh.json` has the inspector's URL; of the other roles the passwords are in `secrets.json`. */
function embeddedNats(mesh: MeshFile, folder: string, role: NatsRole): string {
  // A broker that somebody else runs has the one user that we were given.
  if (mesh.nats.some(({ pid }) => pid === null)) return natsUrlOf(mesh);
  const { nats } = JSON.parse(readFileSync(join(folder, 'secrets.json'), 'utf8')) as Secrets;
  const addresses = mesh.nats.map(({ url }) => {
    const address = new URL(url);
    address.username = role;
    address.password = nats[role];
    return address.href;
  });
  return addresses.join(',');
}
