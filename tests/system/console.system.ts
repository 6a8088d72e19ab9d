import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { mintId } from '../../schema/message/message-id.ts';
import { makeKeys, readCounters } from '../support/counters.ts';
import { drive, post } from '../support/load.ts';
import { readMetrics, sumSamples } from '../support/metrics.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway, type Service } from '../support/services.ts';
import { until } from '../support/until.ts';
import { startBrowser } from './browser.ts';
import { FAINT_TEXTS } from './faint-texts.ts';

const FAST = { FLUSH_INTERVAL_MS: '1000' };
const SILENCE_SEEN_MS_MAX = 3_000;

t.setTimeout(150_000);

await t.test('the console shows what the mesh does', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 1_000 });
  const gateways = [await startGateway(t, servers), await startGateway(t, servers)];
  const counters = [await startCounter(t, servers, FAST), await startCounter(t, servers, FAST)];
  const [gateway, counter] = [gateways[0] as Service, counters[0] as Service];
  const browser = await startBrowser(t);
  const { page, faults } = await openConsole(t, browser, gateway.url);
  const figure = (name: string) => read(page, `[data-figure="${name}"]`);
  const verdict = (pattern: RegExp) =>
    until(
      'the verdict',
      () => read(page, 'h1'),
      (text) => pattern.test(text),
    );

  await t.test('numbers are those of the metrics', async (t) => {
    const load = new AbortController();
    const urls = gateways.map(({ url }) => url);
    const clients = { connections: 4, pauseMs: 20 };
    const driven = drive({ ...clients, urls, keys: makeKeys(50), signal: load.signal });
    await until(
      'rates',
      () => figure('increments-rate'),
      (rate) => Number(digits(rate)) > 50,
    );
    await until(
      'rows',
      () => figure('rows-rate'),
      (rate) => Number(digits(rate)) > 1,
    );
    await verdict(/^Counting: every increment/);
    t.equal(await page.locator('#growing tr').count(), 8, 'keys that grow');
    await until(
      'commits in the plot',
      () => page.locator('#staleness-plot .dot').count(),
      (dots) => dots > 1,
    );
    load.abort();
    const { requests } = await driven;

    const metrics = (services: Service[], name: string) =>
      Promise.all(services.map((each) => readMetrics(each.metrics))).then((found) =>
        sumSamples(found.flat(), name),
      );
    t.equal(await metrics(gateways, 'increments_accepted_total'), requests);
    await untilEqual('accepted', () => figure('accepted'), requests);
    await untilEqual('committed', () => figure('committed'), requests);
    t.equal(await metrics(counters, 'increments_committed_total'), requests);
    await untilEqual('the stream', () => figure('lag-messages'), 0);
    t.equal(await figure('gateways'), '2');
    t.equal(await figure('counters'), '2');
  });

  await t.test('a posted increment is followed until it is committed', async (t) => {
    const key = await page.inputValue('#increment-key');
    await page.fill('#increment-value', '9223372036854775807');
    await page.keyboard.press('Enter');
    const committed = await until(
      'its commit',
      () => read(page, '#increment-status'),
      (text) => text.includes('Committed'),
    );
    t.match(digits(committed), '9223372036854775807', 'with every digit');
    t.equal((await readCounters(servers.database)).get(key), '9223372036854775807');
    t.equal(await page.locator('#hop-postgres.here').count(), 1, 'where it has arrived');

    await page.fill('#increment-key', 'five');
    await page.keyboard.press('Enter');
    const refused = (text: string) => /Not accepted: .*key must be a UUID/.test(text);
    await until('the refusal', () => read(page, '#increment-status'), refused);
    t.strictSame(faults.splice(0), [
      'Failed to load resource: the server responded with a status of 400 (Bad Request)',
    ]);
  });

  await t.test('a dead letter is shown with its reason', async (t) => {
    const [key] = makeKeys(1);
    const once = { 'idempotency-key': 'one' };
    await post(gateways[0]?.url ?? '', { key, value: 1 }, once);
    await post(gateways[1]?.url ?? '', { key, value: 2 }, once);
    const reason = await until('its reason', () => read(page, '#letters-summary'), Boolean);
    t.equal(reason, '1 × idempotency-key-reused');
    t.match(await read(page, '#letters'), /idempotency-key-reused.*message.*ago/);
  });

  await t.test('a counter that is killed is missed within three seconds', async (t) => {
    counter.kill('SIGKILL');
    const killedAt = performance.now();
    await until(
      'its silence',
      () => page.locator('#counter-list .gone').count(),
      (gone) => gone === 1,
    );
    const seenMs = performance.now() - killedAt;
    t.ok(seenMs < SILENCE_SEEN_MS_MAX, `seen after ${Math.round(seenMs)} ms`);
    t.match(await read(page, '#counter-list .gone'), new RegExp(`^${counter.pid}silent`));
    await verdict(/one instance is silent/);
    await counters[1]?.stop();
    await verdict(/^No counter service runs/);
  });

  await t.test('it is honest when nothing is heard', async (t) => {
    t.strictSame(faults, [], 'no console error, and no request to another host');
    servers.nats.kill('SIGKILL');
    await verdict(/^The broker is away/);
    await gateway.stop();
    await verdict(/^No data/);
    t.match(await figure('source'), /\d s ago$/);
    t.ok(await page.locator('body.old').count(), 'what was heard is shown as old');
  });
});

await t.test('with API keys the console asks for one', async (t) => {
  const servers = await startServers(t);
  const file = join(servers.folder, 'api-keys.json');
  const sha256 = createHash('sha256').update('secret').digest('hex');
  writeFileSync(file, JSON.stringify({ keys: [{ name: 'a', sha256, scopes: ['read', 'write'] }] }));
  const gateway = await startGateway(t, servers, { API_KEYS_FILE: file });
  await startCounter(t, servers);
  const { page } = await openConsole(t, await startBrowser(t), gateway.url);
  const verdict = (pattern: RegExp) =>
    until(
      'the verdict',
      () => read(page, 'h1'),
      (text) => pattern.test(text),
    );
  await verdict(/requires an API key/);
  await page.fill('#key', 'secret');
  await page.keyboard.press('Enter');
  await verdict(/^Counting/);
  t.notOk(await page.locator('#key-form').isVisible());
  await page.getByRole('button', { name: 'Post' }).click();
  await until(
    'acceptance',
    () => read(page, '#increment-status'),
    (text) => text.includes('On disk'),
  );
  const kept = await page.evaluate('Object.keys(localStorage).length + document.cookie.length');
  t.equal(kept, 0, 'the key is kept in the tab only');
});

await t.test('it can be read in light and dark, on a phone and by keyboard', async (t) => {
  const servers = await startServers(t, { flushIntervalMs: 1_000 });
  const gateway = await startGateway(t, servers);
  await startCounter(t, servers, FAST);
  const browser = await startBrowser(t);
  for (const [index, key] of makeKeys(20).entries()) {
    await post(gateway.url, { key, value: 10 ** (index % 8) });
  }
  const nats = await connectToNats({ url: servers.urls.nats.gateway, role: 'gateway' });
  t.teardown(() => nats.close());
  const bad = { key: makeKeys(1)[0], value: 1, once: ' ' };
  const envelope = { version: 1, id: mintId(Date.now()), increments: [bad] };
  nats.publish('increments.http', JSON.stringify(envelope));
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 390]) {
      const { page, faults } = await openConsole(t, browser, gateway.url, { colorScheme, width });
      const name = `${colorScheme}, ${width} pixels`;
      await page.locator('#growing tr').first().waitFor();
      await page.locator('#letters li').first().waitFor();
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${name}: fits`);
      t.strictSame(await page.evaluate(FAINT_TEXTS), [], `${name}: contrast is at least 4.5`);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      const focused = await page.evaluate('document.activeElement.id');
      t.equal(focused, 'increment-key', `${name}: the first tab skips to the form`);
      t.strictSame(faults, []);
      const folder = process.env['SCREENSHOTS'];
      if (folder !== undefined) {
        await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
      }
      await page.close();
    }
  }
});

interface Opened {
  page: Page;
  /** Errors on the browser's console, and requests to anyone but the gateway. */
  faults: string[];
}

async function openConsole(
  t: Test,
  browser: Browser,
  url: string,
  { colorScheme = 'light', width = 1280 }: { colorScheme?: 'light' | 'dark'; width?: number } = {},
): Promise<Opened> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  t.teardown(() => page.close());
  const faults: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${url}/`)) faults.push(`a request to ${request.url()}`);
  });
  await page.goto(`${url}/`);
  return { page, faults };
}

async function read(page: Page, selector: string): Promise<string> {
  return ((await page.locator(selector).first().textContent()) ?? '').trim();
}

function untilEqual(what: string, ask: () => Promise<string>, expected: number): Promise<string> {
  return until(what, ask, (text) => digits(text) === String(expected));
}

/** Without what groups them. */
function digits(text: string): string {
  return text.replaceAll('\u202f', '');
}
