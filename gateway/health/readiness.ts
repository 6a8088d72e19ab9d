import { INCREMENTS } from '../../nats/streams.ts';
import type { StoreProblem } from './store-state.ts';

/** What a gateway needs in order to accept increments, as `/readyz` reports it. */
export interface Readiness {
  isStopping: () => boolean;
  readBroker: () => 'connected' | 'silent' | 'away';
  readStream: () => 'ready' | 'unsafe' | Exclude<StoreProblem['failure'], 'broker-silent'>;
  /** Why it accepts none, and what to do; null while it does. */
  readReason: () => string | null;
}

export function createReadiness(look: {
  isStopping: () => boolean;
  isBrokerConnected: () => boolean;
  isStreamThere: () => boolean;
  /** Why accepted increments may be lost, as counter services report it. */
  readRisk: () => string | undefined;
  readStoreProblem: () => StoreProblem | undefined;
}): Readiness {
  const { isBrokerConnected, isStreamThere, readRisk, readStoreProblem } = look;
  return {
    isStopping: look.isStopping,
    readBroker: () => {
      if (!isBrokerConnected()) return 'away';
      return readStoreProblem()?.failure === 'broker-silent' ? 'silent' : 'connected';
    },
    readStream: () => {
      const failure = readStoreProblem()?.failure;
      if (failure === 'broker-silent') return 'silent';
      if (failure !== undefined) return failure;
      if (!isStreamThere()) return 'away';
      return readRisk() === undefined ? 'ready' : 'unsafe';
    },
    readReason: () => {
      const problem = readStoreProblem();
      if (problem !== undefined) return `${problem.reason}: ${problem.remedy}`;
      if (!isBrokerConnected()) return 'the broker cannot be reached: see whether it runs';
      if (!isStreamThere()) return `no server stores the stream ${INCREMENTS}: ${STREAM_AWAY}`;
      return readRisk() ?? null;
    },
  };
}

/** What to do about it. */
export const STREAM_AWAY =
  'a broker that was restarted brings it back within seconds; if it was never made or was deleted, ' +
  '`npm start` or `npm run provision` makes it';
