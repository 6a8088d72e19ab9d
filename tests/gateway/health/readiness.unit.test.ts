import t from 'tap';
import { createReadiness } from '../../../gateway/health/readiness.ts';

void t.test('of a stream that is away, a gateway says that a restart brings it back', (t) => {
  const readiness = createReadiness({
    isStopping: () => false,
    isBrokerConnected: () => true,
    isStreamThere: () => false,
    readRisk: () => undefined,
    readStoreProblem: () => undefined,
  });
  t.equal(readiness.readStream(), 'away');
  t.match(
    readiness.readReason(),
    /a broker that was restarted brings it back within seconds; if it was never/,
  );
  t.end();
});
