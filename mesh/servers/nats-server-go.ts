import { fetchGoProgram } from './go-program.ts';
import { VERSION } from './nats-server-release.ts';
import type { NatsServerSource } from './nats-server-source.ts';

/** The pinned version, compiled where Go is installed. */
export const buildWithGo: NatsServerSource = {
  name: `the Go module ${VERSION} of nats-server`,
  fetch: (destination, signal) =>
    fetchGoProgram(`github.com/nats-io/nats-server/v2@v${VERSION}`, destination, signal),
};
