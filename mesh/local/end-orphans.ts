import { join } from 'node:path';
import { acquireLock } from './lock.ts';
import { removeMeshFile } from './mesh-file.ts';
import { endOrphans } from './orphans.ts';

// The process that runs once `npm start` was killed: see orphans.ts.

const [dataFolder = ''] = process.argv.slice(2);
// Fails where a next start was faster: that one ends what is left.
const release = await acquireLock(join(dataFolder, 'lock'), { isBrief: true });
try {
  await endOrphans(dataFolder, () => {});
  // Commands would look for servers that are gone.
  removeMeshFile(join(dataFolder, 'mesh.json'));
} finally {
  release();
}
