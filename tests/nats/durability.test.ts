import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { spawnDetached, stopProcess } from '../../mesh/servers/detached-process.ts';
import { findNatsServer } from '../../mesh/servers/find-nats-server.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { send } from '../support/load.ts';
import { endWithUs } from '../support/end-with-us.ts';
import { until } from '../support/until.ts';

const ROOM = fileURLToPath(new URL('../../nats', import.meta.url));

for (const config of ['server.conf', 'cluster.conf']) {
  void t.test(`a broker by ${config} has on disk what it acknowledges`, async (t) => {
    const monitorPort = await findFreePort();
    const port = await findFreePort([monitorPort]);
    const routePort = await findFreePort([monitorPort, port]);
    const args = ['-c', join(ROOM, config), '-m', String(monitorPort)];
    const server = endWithUs(
      await spawnDetached(await findNatsServer(), args, {
        stdio: 'ignore',
        env: {
          NATS_SERVER_NAME: 'test',
          NATS_LISTEN: `127.0.0.1:${port}`,
          NATS_STORE_DIR: t.testdir(),
          NATS_MONITOR_LISTEN: `127.0.0.1:${monitorPort}`,
          NATS_CLUSTER_LISTEN: `127.0.0.1:${routePort}`,
          NATS_ROUTES: `["nats://cluster:c@127.0.0.1:${routePort}"]`,
          CLUSTER_NATS_PASSWORD: 'c',
          GATEWAY_NATS_PASSWORD: 'g',
          COUNTER_NATS_PASSWORD: 'c',
          INSPECTOR_NATS_PASSWORD: 'i',
          PROVISIONER_NATS_PASSWORD: 'p',
          OPERATOR_NATS_PASSWORD: 'o',
        },
      }),
    );
    // Before the test's end, which removes the folder that the broker writes to.
    const stop = () => stopProcess(server, [{ signal: 'SIGKILL', waitMs: 5_000 }]);
    const ask = () =>
      send(`http://127.0.0.1:${monitorPort}/jsz?config=true`).then(
        ({ body }) => JSON.parse(body) as { config?: object },
        () => undefined,
      );
    const { config: found } = await until('an answer', ask).finally(stop);
    t.match(found, { sync_always: true }, JSON.stringify(found));
  });
}
