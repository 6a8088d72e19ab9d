import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { isExecutable, onPath } from '../../mesh/servers/search-path.ts';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startGateway } from '../support/services.ts';
import { until } from '../support/until.ts';
import { startBrowser } from './browser.ts';
import { findDebianProgram } from './debian-program.ts';

/**
 * nginx, which speaks HTTP/1.0 with gateways by default, then keeps this much of an answer before it sends any:
 * a minute of events.
 */
const BUFFER = '64k';
const EVENT_MS_MAX = 8_000;

t.setTimeout(150_000);

await t.test('a console behind a plain nginx, below a path', async (t) => {
  const nginx = await findNginx().catch((error: Error) => error);
  if (nginx instanceof Error) {
    t.pass(`nginx can't be had: ${nginx.message}`, { skip: true });
    return;
  }
  const servers = await startServers(t);
  const gateway = await startGateway(t, servers);
  const url = await startNginx(t, nginx, gateway.url);

  await t.test('events come as they are sent', async (t) => {
    const { body } = await fetch(`${url}/mesh/events`);
    const startedAt = performance.now();
    const reader = body!.getReader();
    t.teardown(() => reader.cancel());
    let text = '';
    while (!text.includes('event: mesh')) {
      const { value, done } = await Promise.race([reader.read(), late()]);
      if (done) break;
      text += Buffer.from(value ?? []).toString();
    }
    t.match(text, 'event: mesh');
    t.ok(performance.now() - startedAt < EVENT_MS_MAX);
  });

  await t.test('the page works', async (t) => {
    const page = await (await startBrowser(t)).newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (line) => line.type() === 'error' && faults.push(line.text()));
    await page.goto(`${url}/mesh/`);
    const gateways = () => page.locator('[data-figure="gateways"]').first().innerText();
    await until('the gateway is shown', gateways, (text) => text === '1');
    await page.locator('#increment button:not([type])').click();
    const status = () => page.locator('#increment-status').innerText();
    await until('the increment is on disk', status, (text) => text.startsWith('On disk'));

    await t.test('and holds no connection while it is hidden', async (t) => {
      const ended = page.waitForEvent('requestfailed', isEvents);
      await show(page, false);
      await ended;
      const begun = page.waitForEvent('request', isEvents);
      await show(page, true);
      t.ok(await begun, 'until it is shown again');
    });
    t.strictSame(faults, []);
  });
});

function isEvents(request: { url: () => string }): boolean {
  return request.url().endsWith('/mesh/events');
}

/** A page without a window is always visible, so it is told. */
function show(page: Page, isVisible: boolean): Promise<void> {
  return page.evaluate(`
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${!isVisible} });
    document.dispatchEvent(new Event('visibilitychange'));
  `);
}

function late(): Promise<{ value: undefined; done: true }> {
  return new Promise((resolve) =>
    setTimeout(resolve, EVENT_MS_MAX, { value: undefined, done: true }).unref(),
  );
}

/** The machine's own, or that of its suite, since it needs its libraries. */
async function findNginx(): Promise<string> {
  const found = onPath('nginx', process.env['PATH'] ?? '').find(isExecutable);
  if (found !== undefined) return found;
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  return findDebianProgram('nginx', 'usr/sbin/nginx', suite);
}

async function startNginx(t: Test, program: string, gateway: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'logs'));
  const port = await findFreePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${name};`).join(' ')}
  proxy_buffer_size ${BUFFER};
  proxy_buffers 8 ${BUFFER};
  proxy_busy_buffers_size ${BUFFER};
  server {
    listen 127.0.0.1:${port};
    location /mesh/ {
      proxy_pass ${gateway}/;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`,
  );
  const proxy = spawn(program, ['-p', folder, '-c', 'nginx.conf'], { stdio: 'ignore' });
  const exited = once(proxy, 'exit');
  t.teardown(async () => {
    proxy.kill('SIGTERM');
    await exited;
  });
  const url = `http://127.0.0.1:${port}`;
  const answers = () =>
    send(`${url}/mesh/livez`).then(
      ({ status }) => status === 200,
      () => false,
    );
  await until('the proxy serves', answers, Boolean);
  return url;
}
