/** After this a service that answers and is not ready is left to wait for what it needs. */
const WAIT_MS_MAX = 20_000;

/**
 * Whether a start may go on: a service is ready, or has said for a while what it waits for. A broker or a
 * database that is away is a state, and no reason to end the service.
 */
export function waitPatiently(options: {
  name: string;
  isReady: () => Promise<boolean>;
  /** What a service that works otherwise waits for; undefined if it does not say so. */
  readWait: () => Promise<string | undefined>;
  say: (line: string) => void;
  /** Milliseconds, of a clock that is not set. */
  readTimeMs?: () => number;
}): () => Promise<boolean> {
  const { name, isReady, readWait, say, readTimeMs = () => performance.now() } = options;
  const patientUntil = readTimeMs() + WAIT_MS_MAX;
  return async () => {
    if (await isReady()) return true;
    if (readTimeMs() < patientUntil) return false;
    const reason = await readWait();
    if (reason !== undefined) say(`${name} runs and is not ready: ${reason}`);
    return reason !== undefined;
  };
}
