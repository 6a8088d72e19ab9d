import { Agent } from 'node:http';
import t from 'tap';
import { CONNECTIONS_MAX } from '../../../gateway/config.ts';
import { createStats } from '../../../gateway/telemetry/stats.ts';
import { send } from '../../support/load.ts';
import { buildTestGateway } from '../test-gateway.ts';

void t.test('near the maximum of connections an idle one is closed sooner', async (t) => {
  const stats = createStats();
  const { app } = await buildTestGateway(t, { stats });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const keepAlive = async () => {
    // A connection of its own for each request.
    const agent = new Agent({ keepAlive: true });
    const { headers } = await send(`${url}/livez`, { agent });
    agent.destroy();
    return headers['keep-alive'];
  };
  t.equal(await keepAlive(), 'timeout=65');
  stats.connectionsOpen += CONNECTIONS_MAX - 100;
  t.equal(await keepAlive(), 'timeout=5');
  stats.connectionsOpen -= CONNECTIONS_MAX - 100;
  t.equal(await keepAlive(), 'timeout=65');
});
