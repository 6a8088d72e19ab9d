import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { arch, availableParallelism, platform, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { readVersion } from '../../../schema/version.ts';

export interface System {
  project: string;
  node: string;
  os: string;
  /** That this process may use. */
  cpus: number;
  /** Of the machine, or of the container that this process is in. */
  memoryBytes: number;
  memoryFreeBytes: number;
  dataFolder: string;
  /** Of the disk that has it, or would have. */
  diskBytes: number;
  diskFreeBytes: number;
}

export async function readSystem(dataDir: string): Promise<System> {
  let place = dataDir;
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  const { bsize, blocks, bavail } = await statfs(place);
  return {
    project: readVersion(),
    node: process.versions.node,
    os: `${platform()} ${release()} ${arch()}`,
    cpus: availableParallelism(),
    memoryBytes: Math.min(process.constrainedMemory() || Infinity, totalmem()),
    memoryFreeBytes: process.availableMemory(),
    dataFolder: existsSync(dataDir) ? dataDir : `${dataDir} (not there)`,
    diskBytes: bsize * blocks,
    diskFreeBytes: bsize * bavail,
  };
}
