import { rmSync } from 'node:fs';
import { writeFileAtomically } from './write-file-atomically.ts';

/** What runs, for programs: the commands, tests and whoever asks `DATA_DIR/mesh.json`. */
export interface MeshFile {
  gateways: { pid: number; url: string; metrics: string }[];
  counters: { pid: number; metrics: string }[];
  /** `url` is the inspector's. `pid` is null for a server that somebody else runs. */
  nats: { pid: number | null; url: string }[];
  /** `url` is the owner's. */
  postgres: { pid: number | null; url: string };
}

/** It holds passwords, so nobody else may read it. */
export function writeMeshFile(path: string, mesh: MeshFile): void {
  writeFileAtomically(path, `${JSON.stringify(mesh, null, 2)}\n`, 0o600);
}

export function removeMeshFile(path: string): void {
  rmSync(path, { force: true });
}
