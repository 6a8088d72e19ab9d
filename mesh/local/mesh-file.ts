import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsAccess } from '../../nats/access-settings.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';

/** What runs, as `DATA_DIR/mesh.json` tells commands, tests and scripts. */
export interface MeshFile {
  /** An earlier version's file has no names. */
  gateways: { name?: string; pid: number; url: string; metrics: string }[];
  /** In front of the gateways; null where there is none. */
  proxy: { pid: number; url: string; metrics: string } | null;
  counters: { name?: string; pid: number; metrics: string }[];
  /** `url` is the inspector's. `pid` is null for an existing server. */
  nats: { pid: number | null; url: string }[];
  /** The stream's name. An earlier version's file has none. */
  stream?: string;
  /** How existing servers are reached beside their URL; it names files, and has no secret. */
  natsAccess?: NatsAccess;
  /** `url` is the owner's. An earlier version's file has neither the reader's nor a schema. */
  postgres: { pid: number | null; url: string; readerUrl?: string; schema?: string };
}

/** Where clients send increments. */
export function gatewayUrlOf({ proxy, gateways }: MeshFile): string {
  return proxy?.url ?? gateways[0]!.url;
}

/** As the inspector; of a cluster, with every server. */
export function natsUrlOf({ nats }: MeshFile): string {
  return nats.map(({ url }) => url).join(',');
}

/** Undefined where no mesh runs on the data folder. */
export function readMeshFile(folder: string): MeshFile | undefined {
  const path = join(folder, 'mesh.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as MeshFile) : undefined;
}

/** The file holds passwords, so only its owner may read it. */
export function writeMeshFile(path: string, mesh: MeshFile): void {
  writeFileAtomically(path, `${JSON.stringify(mesh, null, 2)}\n`, 0o600);
}

export function removeMeshFile(path: string): void {
  rmSync(path, { force: true });
}
