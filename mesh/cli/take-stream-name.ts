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
  const stream = readMeshFile(resolve(environment['DATA_DIR'] || '.mesh'))?.stream;
  if (stream !== undefined) environment['STREAM_NAME'] = stream;
}
