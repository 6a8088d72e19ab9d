import t from 'tap';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

void t.test(
  'only a route that stores is limited, so that with API keys no address is kept',
  async (t) => {
    const silent = { publish: () => undefined, subscribe: () => () => undefined };
    const rateLimit = { max: 1, batchMax: 0, windowMs: 60_000, channel: silent };
    const { post } = await buildTestGateway(t, { rateLimit });
    const body = { key: makeKeys(1)[0], value: 1 };
    for (let count = 0; count < 3; count++) t.equal((await post('/absent', body)).status, 404);
    t.equal((await post('/increment', body)).status, 200);
    t.equal((await post('/increment', body)).status, 429);
  },
);
