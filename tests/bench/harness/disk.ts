import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

const BLOCK = Buffer.alloc(4096, 'x');

/** How long a write and its fdatasync take in a folder, in milliseconds, one after the other. */
export async function measureDisk(folder: string, count = 200): Promise<number[]> {
  const file = await open(join(folder, 'fdatasync'), 'w');
  const durations: number[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const startedAt = performance.now();
      await file.write(BLOCK);
      await file.datasync();
      durations.push(performance.now() - startedAt);
    }
  } finally {
    await file.close();
  }
  return durations;
}
