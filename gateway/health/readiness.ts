import { performance } from 'node:perf_hooks';
import { StreamFull } from '../../nats/publisher.ts';

/** What a gateway needs in order to accept increments, as `/readyz` reports it. */
export interface Readiness {
  isStopping: () => boolean;
  readBroker: () => 'connected' | 'away';
  readStream: () => 'ready' | 'full' | 'unsafe' | 'away';
  /** Called with the outcome of each message. */
  published: (error: unknown) => void;
}

/**
 * A full stream is noticed when it refuses a message. A load balancer then sends no more, so after this
 * time the gateway reports ready, to be tried again.
 */
const FULL_MS = 5_000;

export function createReadiness(look: {
  isStopping: () => boolean;
  isBrokerConnected: () => boolean;
  isStreamThere: () => boolean;
  /** Why accepted increments may be lost, as counter services report it. */
  readRisk: () => string | undefined;
}): Readiness {
  let fullUntil = 0;
  return {
    isStopping: look.isStopping,
    readBroker: () => (look.isBrokerConnected() ? 'connected' : 'away'),
    readStream: () => {
      if (!look.isStreamThere()) return 'away';
      if (look.readRisk() !== undefined) return 'unsafe';
      return performance.now() < fullUntil ? 'full' : 'ready';
    },
    published: (error) => {
      if (error instanceof StreamFull) fullUntil = performance.now() + FULL_MS;
      else if (error === undefined) fullUntil = 0;
    },
  };
}
