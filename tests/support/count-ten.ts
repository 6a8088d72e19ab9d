import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { post, send } from './load.ts';
import type { Servers } from './servers.ts';
import { startCounter, startGateway } from './services.ts';
import { until } from './until.ts';

/** Posts ten increments, and reads them by a gateway, with a service of each kind on a database. */
export async function countTen(
  t: Test,
  servers: Servers,
  urls: { gateway: string; counter: string },
  environment: NodeJS.ProcessEnv = {},
): Promise<void> {
  const { nats } = servers.urls;
  const gateway = await startGateway(
    t,
    { urls: { nats, gatewayDatabase: urls.gateway } },
    environment,
  );
  const counter = await startCounter(
    t,
    { urls: { nats, counterDatabase: urls.counter } },
    { FLUSH_INTERVAL_MS: '300', ...environment },
  );
  await countTenBy(t, gateway.url);
  await Promise.all([gateway.stop(), counter.stop()]);
}

/** The same of a mesh that runs, at the URL of its gateways. */
export async function countTenBy(t: Test, url: string): Promise<void> {
  const key = randomUUID();
  const answers = Array.from({ length: 10 }, () => post(url, { key, value: 1 }));
  for (const { status } of await Promise.all(answers)) t.equal(status, 200);
  await until(
    'ten, as a client reads them',
    async () => (await send(`${url}/counters/${key}`)).body,
    (body) => body.includes('"value":"10"'),
  );
}
