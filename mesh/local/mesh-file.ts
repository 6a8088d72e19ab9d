import { rmSync } from 'node:fs';
import type { NatsTlsFiles } from '../../nats/connect.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';

/** What runs, for programs: the commands, tests and whoever asks `DATA_DIR/mesh.json`. */
export interface MeshFile {
  gateways: { pid: number; url: string; metrics: string }[];
  /** Before the gateways, where there is one. */
  proxy: { pid: number; url: string; metrics: string } | null;
  counters: { pid: number; metrics: string }[];
  /** `url` is the inspector's. `pid` is null for a server that somebody else runs. */
  nats: { pid: number | null; url: string }[];
  /** Certificates for these; left out where they speak no TLS. */
  natsTls?: NatsTlsFiles;
  /** `url` is the owner's. */
  postgres: { pid: number | null; url: string };
}

/** Where clients send increments to. */
export function gatewayUrlOf({ proxy, gateways }: MeshFile): string {
  return proxy?.url ?? gateways[0]!.url;
}

/** With every server of a cluster, as the inspector. */
export function natsUrlOf({ nats }: MeshFile): string {
  return nats.map(({ url }) => url).join(',');
}

/** It holds passwords, so nobody else may read it. */
export function writeMeshFile(path: string, mesh: MeshFile): void {
  writeFileAtomically(path, `${JSON.stringify(mesh, null, 2)}\n`, 0o600);
}

export function removeMeshFile(path: string): void {
  rmSync(path, { force: true });
}
