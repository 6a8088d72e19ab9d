import { fileURLToPath } from 'node:url';
import t from 'tap';
import { mintedAt } from '../../schema/message/message-id.ts';
import { makeKeys, untilCounted } from '../support/counters.ts';
import { drive, post, total } from '../support/load.ts';
import { startGateway } from '../support/services.ts';
import { shareCounter, shareServers } from '../support/shared-mesh.ts';

const CLOCK = fileURLToPath(new URL('../torture/clock.ts', import.meta.url));
const HOUR_MS = 3_600_000;

void t.test('whatever its clock says, what a gateway answers 200 is counted', async (t) => {
  const { servers, streams } = await shareServers();
  await shareCounter();
  const { length: before } = await streams.readDeadLetters();
  const gateways = await Promise.all(
    [-2 * HOUR_MS, 2 * HOUR_MS].map((aheadMs) =>
      startGateway(t, servers, {
        NODE_OPTIONS: `--import=${CLOCK}`,
        CLOCK_AHEAD_MS: String(aheadMs),
      }),
    ),
  );
  const keys = makeKeys(10);
  const result = await drive({
    urls: gateways.map(({ url }) => url),
    keys,
    connections: 4,
    requests: 400,
  });
  t.strictSame([...result.statuses], [[200, 400]]);
  t.equal(total(result.accepted), 400);
  for (const [key, sum] of result.accepted) await untilCounted(servers.database, key, sum);
  t.equal((await streams.readDeadLetters()).length, before);

  for (const [index, gateway] of gateways.entries()) {
    const answer = await post(gateway.url, { key: makeKeys(1)[0], value: 1 });
    const { id } = JSON.parse(answer.body) as { id: string };
    t.ok(Math.abs(mintedAt(id) - Date.now()) < 60_000, "ids have the broker's time");
    const clock = `this machine's clock is 7200 s ${index === 0 ? 'behind' : 'ahead of'} the broker's`;
    t.ok(
      gateway.log.some(({ msg }) => msg.startsWith(clock)),
      'the log says how far the clock is off',
    );
  }
});
