import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { Value } from 'typebox/value';
import { Problem, PROBLEM_CONTENT_TYPE } from '../../schema/http/problem.ts';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { post, send } from '../support/load.ts';
import { until } from '../support/until.ts';
import { findDebianProgram } from './debian-program.ts';

// What the real proxy does with gateways that fail in ways that a real one is hard to bring to.

const INCREMENT = { key: '0195f3c0-0000-7000-8000-000000000000', value: 1 };

await t.test('a request that was sent is not sent again, unless it can be repeated', async (t) => {
  const broken = await startBackend(t, { isBroken: true });
  const other = await startBackend(t, { isBroken: true });
  const { url } = await startProxy(t, [broken.port, other.port]);
  const sent = () => broken.requests() + other.requests();

  const lost = await post(url, INCREMENT);
  t.equal(lost.status, 503);
  t.equal(lost.headers['retry-after'], '1');
  t.equal(lost.headers['content-type'], PROBLEM_CONTENT_TYPE);
  const problem: unknown = JSON.parse(lost.body);
  t.ok(Value.Check(Problem, problem), 'it is the same as from a gateway');
  t.match(problem, { status: 503, code: 'outcome-unknown', instance: /^urn:uuid:/ });
  t.equal(sent(), 1, 'a POST without an Idempotency-Key reaches one gateway');

  await delayed();
  const before = sent();
  const get = await send(`${url}/counters/${INCREMENT.key}`);
  t.equal(get.status, 503);
  t.ok(sent() - before >= 2, 'a GET is tried elsewhere');

  await delayed();
  const keyed = sent();
  await post(url, INCREMENT, { 'idempotency-key': 'one' });
  t.ok(sent() - keyed >= 2, 'and so is a POST that is counted once by its key');
});

await t.test('with its body, whole', async (t) => {
  const broken = await startBackend(t, { isBroken: true });
  const good = await startBackend(t);
  const { url } = await startProxy(t, [broken.port, good.port]);
  const bodies = new Set<string>();
  for (let index = 0; index < 6; index++) {
    const answer = await post(url, INCREMENT, { 'idempotency-key': `k${index}` });
    t.equal(answer.status, 200);
    bodies.add(answer.body);
  }
  t.same([...bodies], [JSON.stringify(INCREMENT)]);
});

await t.test('a gateway that is gone costs no request', async (t) => {
  const good = await startBackend(t);
  const { url } = await startProxy(t, [await findFreePort(), good.port]);
  for (let index = 0; index < 20; index++) {
    t.equal((await post(url, INCREMENT)).status, 200);
  }
});

await t.test('a gateway that is not ready gets none', async (t) => {
  const first = await startBackend(t);
  const second = await startBackend(t);
  const { url } = await startProxy(t, [first.port, second.port]);
  first.setReady(false);
  await until('the proxy asked', first.checks, (checks) => checks >= first.checksAtChange() + 2);
  const before = first.requests();
  for (let index = 0; index < 20; index++) {
    t.equal((await post(url, INCREMENT)).status, 200);
  }
  t.equal(first.requests(), before);

  first.setReady(true);
  await until(
    'it is back',
    async () => {
      await post(url, INCREMENT);
      return first.requests();
    },
    (requests) => requests > before,
  );
});

await t.test('its own figures are on another port', async (t) => {
  const good = await startBackend(t);
  const { url, metrics } = await startProxy(t, [good.port]);
  await post(url, INCREMENT);
  t.match((await send(`${metrics}/metrics`)).body, /^caddy_http_requests_total/m);
  t.equal((await send(`${url}/metrics`)).body, '', 'which clients do not reach');
});

interface Backend {
  port: number;
  requests: () => number;
  checks: () => number;
  checksAtChange: () => number;
  setReady: (isReady: boolean) => void;
}

/** Answers with what it got, or reads the request and breaks the connection. */
async function startBackend(t: Test, { isBroken = false } = {}): Promise<Backend> {
  let requests = 0;
  let checks = 0;
  let checksAtChange = 0;
  let isReady = true;
  const server: Server = createServer((request, response) => {
    if (request.url === '/readyz') {
      checks++;
      response.writeHead(isReady ? 200 : 503).end();
      return;
    }
    requests++;
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      if (isBroken) request.socket.destroy();
      else response.end(request.url === '/metrics' ? '' : body);
    });
  });
  server.listen(await findFreePort(), '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    port: (server.address() as { port: number }).port,
    requests: () => requests,
    checks: () => checks,
    checksAtChange: () => checksAtChange,
    setReady: (next) => {
      isReady = next;
      checksAtChange = checks;
    },
  };
}

async function startProxy(t: Test, ports: number[]): Promise<{ url: string; metrics: string }> {
  const caddy = await findDebianProgram('caddy', 'usr/bin/caddy');
  const port = await findFreePort();
  const metricsPort = await findFreePort([port]);
  const config = join(ROOT, 'mesh/deploy/Caddyfile');
  const proxy = spawn(caddy, ['run', '--adapter', 'caddyfile', '--config', config], {
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      PROXY_HOST: '127.0.0.1',
      PROXY_PORT: String(port),
      PROXY_METRICS_HOST: '127.0.0.1',
      PROXY_METRICS_PORT: String(metricsPort),
      // As in compose.yaml, one that does not run is named too.
      GATEWAYS: [...ports.map((one) => `127.0.0.1:${one}`), 'gateway-9.invalid:3000'].join(' '),
    },
  });
  const exited = once(proxy, 'exit');
  t.teardown(async () => {
    proxy.kill('SIGTERM');
    await exited;
  });
  const url = `http://127.0.0.1:${port}`;
  const metrics = `http://127.0.0.1:${metricsPort}`;
  const answers = () =>
    send(`${metrics}/metrics`).then(
      () => true,
      () => false,
    );
  await until('the proxy serves', answers, Boolean);
  return { url, metrics };
}

/** A gateway that failed is left out for a second. */
function delayed(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1_100));
}
