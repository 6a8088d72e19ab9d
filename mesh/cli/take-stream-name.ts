import { resolve } from 'node:path';
import { readMeshFile } from '../local/mesh-file.ts';

/**
 * Sets STREAM_NAME to that of the mesh which runs on the data folder, unless it is set or other brokers are
 * given. It comes before all else: nats/streams.ts reads it when it is loaded.
 */
export function takeStreamName(args: string[], environment: NodeJS.ProcessEnv): void {
  const hasOtherBrokers =
    Boolean(environment['NATS_URL']) || args.some((one) => /^--nats-url(=|$)/.test(one));
  if (hasOtherBrokers || environment['STREAM_NAME']) return;
  // It starts a mesh: what runs now, or did, names nothing for it.
  if (args[0] === 'up') return;
  const stream = readStream(resolve(environment['DATA_DIR'] || '.mesh'));
  if (stream !== undefined) environment['STREAM_NAME'] = stream;
}

/** A file that can't be read is told of by the command that needs it. */
function readStream(dataDir: string): string | undefined {
  try {
    return readMeshFile(dataDir)?.stream;
  } catch {
    return undefined;
  }
}
