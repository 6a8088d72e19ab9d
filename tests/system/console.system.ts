import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { connectToNats } from '../../nats/connect.ts';
import { mintId } from '../../schema/message/message-id.ts';
import { makeKeys, readCounters } from '../support/counters.ts';
import { drive } from '../support/load.ts';
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
  const [servers, browser] = await Promise.all([
    startServers(t, { flushIntervalMs: 1_000 }),
    startBrowser(t),
  ]);
  const service = (name: string) => ({ ...FAST, INSTANCE_NAME: name });
  const file = join(servers.folder, 'api-keys.json');
  const sha256 = createHash('sha256').update('secret').digest('hex');
  writeFileSync(file, JSON.stringify({ keys: [{ name: 'a', sha256, scopes: ['read', 'write'] }] }));
  const [gateway, guarded] = await Promise.all([
    startGateway(t, servers, service('gateway-1')),
    startGateway(t, servers, { ...service('gateway-2'), API_KEYS_FILE: file }),
  ]);
  const [counter, spare] = await Promise.all([
    startCounter(t, servers, service('counter-1')),
    startCounter(t, servers, service('counter-2')),
  ]);
  const { page, faults } = await openConsole(t, browser, gateway.url);
  const figure = (name: string) => read(page, `[data-figure="${name}"]`);
  const reads = (selector: string, pattern: RegExp) =>
    until(
      selector,
      () => read(page, selector),
      (text) => pattern.test(text),
    );
  const verdict = (pattern: RegExp) => reads('h1', pattern);
  const tab = () =>
    page.evaluate('[document.title, document.getElementById("icon").getAttribute("href")]');

  await t.test('numbers are those of the metrics', async (t) => {
    const load = new AbortController();
    t.teardown(() => load.abort());
    const clients = { connections: 8, pauseMs: 20 };
    const driven = drive({
      ...clients,
      urls: [gateway.url],
      keys: makeKeys(50),
      signal: load.signal,
    });
    const isAbove = (least: number) => (text: string) => Number(digits(text)) > least;
    await until('the rate of accepted ones', () => figure('accepted-rate'), isAbove(20));
    await until('the rate of committed ones', () => figure('committed-rate'), isAbove(20));
    await until('rows', () => figure('rows-rate'), isAbove(1));
    await verdict(/^Counting: every increment/);
    t.strictSame(await tab(), ['Counting – increment-mesh', 'console/icon.svg']);
    t.equal(await page.locator('#growing tr').count(), 8, 'keys that grow');
    for (const line of ['accepted', 'committed']) {
      t.ok(await page.locator(`#rates-plot .line.${line}`).count(), `a line of what is ${line}`);
    }
    t.ok(await page.locator('#flush-plot .stem').count(), 'flushes');
    load.abort();
    const { requests } = await driven;

    const metrics = (services: Service[], name: string) =>
      Promise.all(services.map((each) => readMetrics(each.metrics))).then((found) =>
        sumSamples(found.flat(), name),
      );
    t.equal(await metrics([gateway, guarded], 'increments_accepted_total'), requests);
    await untilEqual('increments counted', () => figure('counted'), requests);
    t.equal(await metrics([counter, spare], 'increments_committed_total'), requests);
    await untilEqual('the stream', () => figure('lag-messages'), 0);
    t.equal(await figure('gateways'), '2');
    t.equal(await figure('counters'), '2');
    t.match(await read(page, '#counter-list'), /counter-1.*counter-2|counter-2.*counter-1/);
  });

  await t.test('a posted increment is followed until it is committed', async (t) => {
    const key = await page.inputValue('#increment-key');
    await page.fill('#increment-value', '9223372036854775807');
    await page.keyboard.press('Enter');
    const committed = await reads('#increment-status', /Committed/);
    t.match(digits(committed), '9223372036854775807', 'with every digit');
    t.equal((await readCounters(servers.database)).get(key), '9223372036854775807');
    t.equal(await page.locator('#hop-postgres.here').count(), 1, 'where it has arrived');

    await page.fill('#increment-key', 'five');
    await page.keyboard.press('Enter');
    await reads('#increment-status', /Not accepted: .*key must be a UUID/);

    await page.fill('#lookup-key', key.toUpperCase());
    await page.keyboard.press('Enter');
    t.equal(digits(await reads('[data-figure="lookup-value"]', /\d/)), '9223372036854775807');
    t.match(await figure('lookup-complete'), /^\d\d:\d\d:\d\d$/);
    await page.fill('#lookup-key', makeKeys(1)[0]!);
    await page.keyboard.press('Enter');
    await reads('#lookup-status', /^Not counted yet, or never: .* up to \d\d:\d\d:\d\d\.$/);
    await page.fill('#lookup-key', 'five');
    await page.keyboard.press('Enter');
    await reads('#lookup-status', /UUID/);
    t.strictSame(
      faults.splice(0).map((text) => /status of (\d+)/.exec(text)?.[1]),
      ['400', '404', '400'],
      'no other fault',
    );
    await reads('[data-figure="errors"]', /^answered 1 × 404, 2 × 400 in the last minute$/);
    t.ok(await page.locator('#rates-plot .error.warning').count(), 'errors are marked');
  });

  await t.test('values are read from the plots by pointer and by keyboard', async (t) => {
    const reading = () => read(page, '#rates-reading');
    await page.locator('#rates-plot').hover();
    t.match(await reading(), /^\d\d:\d\d:\d\d: .*accepted.*, .*committed/);
    await page.locator('h1').hover();
    t.equal(await reading(), '');
    await page.locator('#rates-plot').focus();
    await page.keyboard.press('ArrowLeft');
    const last = await reading();
    await page.keyboard.press('Home');
    const first = await reading();
    t.match(first, /^\d\d:\d\d:\d\d: /);
    t.not(first, last);
    await page.keyboard.press('Escape');
    t.equal(await reading(), '');
    await page.locator('#flush-plot').focus();
    await page.keyboard.press('End');
    t.match(await read(page, '#flush-reading'), /^\d\d:\d\d:\d\d: .* rows/);
  });

  await t.test('a dead letter is shown with its number, its reason and the commands', async (t) => {
    const [key] = makeKeys(1);
    const nats = await connectToNats({ url: servers.urls.nats.gateway, role: 'gateway' });
    t.teardown(() => nats.close());
    const increments = [{ key, value: 1, once: ' ' }];
    const envelope = { version: 1, id: mintId(Date.now()), increments };
    nats.publish('increments.http', JSON.stringify(envelope));
    const waiting = await reads('#letters', /^#1 bad-idempotency-key increments\.http, .* ago/);
    t.match(waiting, key!, 'its payload');
    t.equal(await figure('letters-summary'), '1 message waits, uncounted.');
    await page.locator('#letters button', { hasText: 'show' }).click();
    // Where the clipboard is not allowed, the command is shown to be copied.
    await reads('#letters .copied', /^(Copied\.|npm run mesh -- dead-letters show 1)$/);
    await verdict(/^1 dead letter waits\./);
    t.strictSame(await tab(), ['1 dead letter waits – increment-mesh', 'console/icon-warning.svg']);
    t.strictSame(await page.evaluate(FAINT_TEXTS), [], 'contrast is at least 4.5');
    await page.setViewportSize({ width: 390, height: 900 });
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 390, 'it fits a phone');
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  await t.test('a reload keeps the history', async (t) => {
    const before = await page.locator('#flush-plot .stem').count();
    await page.reload();
    await page.locator('#flush-plot .stem').first().waitFor({ state: 'attached' });
    t.ok((await page.locator('#flush-plot .stem').count()) >= before - 1);
    const line =
      (await page.locator('#rates-plot .line.accepted').first().getAttribute('points')) ?? '';
    t.ok(line.split(' ').length > 5, 'rates from before');
    t.match(await figure('errors'), /1 × 404/);
  });

  await t.test('it can be read in light and dark, on a phone and by keyboard', async (t) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1280, 390]) {
        const name = `${colorScheme}, ${width} pixels`;
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        const scrolled = await page.evaluate('document.documentElement.scrollWidth');
        t.equal(scrolled, width, `${name}: fits`);
        t.strictSame(await page.evaluate(FAINT_TEXTS), [], `${name}: contrast is at least 4.5`);
        const folder = process.env['SCREENSHOTS'];
        if (folder !== undefined) {
          await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
        }
      }
    }
    const tops = await page.evaluate(
      `['#verdict', '#staleness', '#rates', '#flushes', '#path', '#dead', '#posting']
        .map((each) => document.querySelector(each).getBoundingClientRect().top)`,
    );
    t.strictSame(
      tops,
      (tops as number[]).toSorted((left, right) => left - right),
      'on a phone what matters most comes first',
    );
    await page.reload();
    await page.locator('#increment-key').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    const focused = await page.evaluate('document.activeElement.id');
    t.equal(focused, 'increment-key', 'the first tab skips to the form');
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  await t.test('with API keys it asks for one, and nothing else', async (t) => {
    const { page } = await openConsole(t, browser, guarded.url);
    const verdict = (pattern: RegExp) =>
      until(
        'the verdict',
        () => read(page, 'h1'),
        (text) => pattern.test(text),
      );
    await verdict(/requires an API key/);
    t.notOk(await page.locator('main').isVisible(), 'no empty plots');
    await page.fill('#key', 'wrong');
    await page.keyboard.press('Enter');
    await verdict(/not valid/);
    await page.fill('#key', 'secret');
    await page.keyboard.press('Enter');
    await page.locator('main').waitFor();
    t.notOk(await page.locator('#key-form').isVisible());
    await page.getByRole('button', { name: 'Post' }).click();
    await until(
      'acceptance',
      () => read(page, '#increment-status'),
      (text) => text.includes('On disk'),
    );
    const kept = await page.evaluate('Object.keys(localStorage).length + document.cookie.length');
    t.equal(kept, 0, 'the key is kept in the tab only');
    await page.getByRole('button', { name: 'Forget' }).click();
    await verdict(/requires an API key/);
    t.equal(await page.evaluate('sessionStorage.length'), 0, 'nothing is kept');
    await page.close();
  });

  const background = await openConsole(t, browser, gateway.url);
  await background.page.locator('main').waitFor();
  await background.page.evaluate(`{
    Object.defineProperty(document, 'hidden', { get: () => true });
    document.dispatchEvent(new Event('visibilitychange'));
  }`);

  await t.test('a counter that is killed is missed within three seconds', async (t) => {
    const [stored, counted] = [await figure('stored'), await figure('counted')];
    counter.kill('SIGKILL');
    const killedAt = performance.now();
    await until(
      'its silence',
      () => page.locator('#counter-list .silent').count(),
      (silent) => silent === 1,
    );
    const seenMs = performance.now() - killedAt;
    t.ok(seenMs < SILENCE_SEEN_MS_MAX, `seen after ${Math.round(seenMs)} ms`);
    await verdict(/^Counter service counter-1 died/);
    await reads('#counter-list .gone', /^counter-1gone since \d\d:\d\d:\d\d$/);
    await reads('#advice', /See its log/);
    t.ok(Number(digits(await figure('stored'))) >= Number(digits(stored)), 'nothing shrinks');
    t.ok(Number(digits(await figure('counted'))) >= Number(digits(counted)), 'nor here');
    await spare.stop();
    await until(
      'what is bad now',
      () => page.getAttribute('h1', 'data-level'),
      (level) => level === 'bad',
    );
    const [, icon] = (await tab()) as string[];
    t.equal(icon, 'console/icon-bad.svg');
  });

  await t.test('a tab in the background shows the state in its title and icon', async (t) => {
    await until(
      'its title',
      () => background.page.title(),
      (title) => title.startsWith('Counter service counter-1 died'),
    );
    const { requests } = background;
    t.ok(requests() < 6, `it holds no connection: ${requests()} requests for events`);
    t.strictSame(background.faults, []);
  });

  await t.test('it is honest when nothing is heard', async (t) => {
    t.strictSame(faults, [], 'no console error, and no request to another host');
    servers.nats.kill('SIGKILL');
    await verdict(/^The broker can not be reached/);
    await reads('#gateway-list .silent', /^gateway-2not heard since/);
    t.equal(await page.locator('.instance.gone').count(), 0, 'nobody is known to be gone');
    await gateway.stop();
    await verdict(/^No data/);
    t.match(await figure('source'), /\d s ago$/);
    t.ok(await page.locator('body.old').count(), 'what was heard is shown as old');
  });
});

interface Opened {
  page: Page;
  /** Errors on the browser's console, and requests to anyone but the gateway. */
  faults: string[];
  /** How often events were asked for. */
  requests: () => number;
}

async function openConsole(t: Test, browser: Browser, url: string): Promise<Opened> {
  // What moves without end would take half of a core.
  const reducedMotion = 'reduce';
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion });
  t.teardown(() => page.close());
  const faults: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  let requests = 0;
  page.on('request', (request) => {
    if (request.url() === `${url}/events`) requests++;
    if (!request.url().startsWith(`${url}/`)) faults.push(`a request to ${request.url()}`);
  });
  await page.goto(`${url}/`);
  return { page, faults, requests: () => requests };
}

async function read(page: Page, selector: string): Promise<string> {
  return ((await page.locator(selector).first().textContent()) ?? '').trim();
}

function untilEqual(
  what: string,
  ask: () => Promise<string>,
  expected: number | string,
): Promise<string> {
  return until(what, ask, (text) => digits(text) === String(expected));
}

/** Without what groups them. */
function digits(text: string): string {
  return text.replaceAll('\u202f', '');
}
