import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { NatsAccess } from '../../nats/access-settings.ts';
import type { NatsRole } from '../../nats/connect.ts';
import type { Secrets } from '../local/data-folder.ts';
import { isAbandoned } from '../local/lock.ts';
import { natsUrlOf, readMeshFile, type MeshFile } from '../local/mesh-file.ts';
import { NoAnswer, Refusal } from './errors.ts';

/** The servers of a mesh, with the users to connect as. */
export interface Addresses {
  /** The data folder that is looked at, whether there is one or not. */
  dataDir: string;
  nats: (role: NatsRole) => string;
  /** How the brokers are reached beside their URL. */
  natsAccess: NatsAccess;
  /** As the owner of the tables. */
  database: string;
  databaseSchema: string;
  /** What `npm start` runs on this machine; undefined for a mesh that is given by URLs. */
  mesh: MeshFile | undefined;
}

/**
 * Takes the servers from the URLs where they are given, and otherwise from the `mesh.json` of the data
 * folder.
 *
 * @throws NoAnswer at the first use of a server that neither names; Refusal where `mesh.json` names it, and
 * another stream than `streamName`.
 */
export function findAddresses(given: {
  natsUrl: string | undefined;
  natsAccess: NatsAccess;
  /** That this process acts on. */
  streamName: string;
  databaseUrl: string | undefined;
  databaseSchema: string;
  dataDir: string;
}): Addresses {
  const { natsUrl, databaseUrl } = given;
  const folder = resolve(given.dataDir);
  const isWhole = natsUrl !== undefined && databaseUrl !== undefined;
  const mesh = isWhole ? undefined : readRunningMesh(folder);

  const find = (url: string | undefined, ofMesh: (mesh: MeshFile) => string) => {
    if (url !== undefined) return url;
    if (mesh !== undefined) {
      refuseOtherStream(mesh, given.streamName, folder);
      return ofMesh(mesh);
    }
    throw new NoAnswer(
      `no mesh runs on ${folder}: start one with npm start, choose another folder with DATA_DIR, ` +
        'or give --nats-url and --database-url',
    );
  };
  return {
    dataDir: folder,
    nats: (role) => find(natsUrl, (mesh) => natsUrlAs(role, mesh, folder)),
    natsAccess: natsUrl === undefined ? (mesh?.natsAccess ?? {}) : given.natsAccess,
    get database() {
      return find(databaseUrl, ({ postgres }) => postgres.url);
    },
    databaseSchema:
      databaseUrl === undefined
        ? (mesh?.postgres.schema ?? given.databaseSchema)
        : given.databaseSchema,
    // Another broker may have other services than those in mesh.json.
    mesh: natsUrl === undefined ? mesh : undefined,
  };
}

/** After a power cut, or the end of a container, `mesh.json` is still there. */
function readRunningMesh(folder: string): MeshFile | undefined {
  const mesh = readMeshFile(folder);
  return mesh === undefined || isAbandoned(join(folder, 'lock')) ? undefined : mesh;
}

/** In one NATS account the streams of several meshes differ by their names alone. */
function refuseOtherStream({ stream }: MeshFile, streamName: string, folder: string): void {
  if (stream === undefined || stream === streamName) return;
  throw new Refusal(
    `the stream of the mesh on ${folder} is ${stream}, and this command's is ${streamName}: ` +
      `set STREAM_NAME=${stream}, or give --nats-url and --database-url of the other mesh`,
  );
}

/** `mesh.json` has the inspector's URL; passwords of other roles are in `secrets.json`. */
function natsUrlAs(role: NatsRole, mesh: MeshFile, folder: string): string {
  // For an existing broker we were given one user.
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
