import t from 'tap';
import { makeKeys } from '../support/counters.ts';
import { buildTestGateway } from './test-gateway.ts';

/** Nearly what the headers of a request may have, its path among them. */
const BYTES = 15_000;
/** No request holds the event loop for longer. */
const HELD_MS_MAX = 50;
const [KEY = ''] = makeKeys(1);

const fill = (part: string) => part.repeat(Math.floor(BYTES / part.length));

const REQUESTS: Record<string, [path: string, headers: Record<string, string>]> = {
  'many keys': [`/counters?${fill(`key=${KEY}&`)}`, {}],
  'many bad keys': [`/counters?${fill('key=x&')}`, {}],
  'many parameters': [`/counters?${fill('a=&')}`, {}],
  'nested parameters': [`/counters?key${fill('[a]')}=1`, {}],
  'escaped characters': [`/counters?key=${fill('%41')}`, {}],
  'a long path': [`/${fill('a/')}`, {}],
  'a long escaped path': [`/${fill('%2f')}`, {}],
  'dots in a path': [`/${fill('../')}`, {}],
  'a path below the docs': [`/docs/static/${fill('%2e%2e/')}`, {}],
  'a long key': [`/counters/${fill('a')}`, {}],
  'a long id': [`/increments/${fill('0-')}`, {}],
  host: ['/', { host: fill('a.') }],
  origin: ['/', { origin: `http://${fill('a.')}` }],
  authorization: ['/', { authorization: `Bearer ${fill(' ')}` }],
  'idempotency key': ['/increment', { 'idempotency-key': `"${fill('\\"')}` }],
  'forwarded address': ['/increment', { 'x-forwarded-for': fill('1.1.1.1,') }],
  'forwarded spaces': ['/increment', { 'x-forwarded-for': fill(' ') }],
  cookie: ['/', { cookie: fill('a=b; ') }],
  traceparent: ['/', { traceparent: fill('0-'), baggage: fill('a=b,') }],
  'if none match': ['/', { 'if-none-match': fill('"a",') }],
  'content type': ['/increment', { 'content-type': `application/json;${fill('a=b;')}` }],
};

void t.test('no path and no header holds the event loop for long', async (t) => {
  for (const trustProxy of [undefined, '127.0.0.1']) {
    const rateLimit = {
      max: 1_000_000,
      batchMax: 0,
      windowMs: 60_000,
      channel: { publish: () => undefined, subscribe: () => () => undefined },
    };
    const { send, post } = await buildTestGateway(t, { trustProxy, rateLimit });
    for (const [kind, [path, headers]] of Object.entries(REQUESTS)) {
      // A busy machine makes the same work dearer, and the first time is not compiled yet.
      let spentMs = Infinity;
      for (let tries = 0; tries < 20 && spentMs >= HELD_MS_MAX; tries++) {
        const before = process.cpuUsage();
        const { status } = await (path === '/increment'
          ? post(path, { key: KEY, value: 1 }, headers)
          : send(path, { headers }));
        const { user, system } = process.cpuUsage(before);
        spentMs = Math.min(spentMs, (user + system) / 1_000);
        if (status >= 500 && status !== 503) t.fail(`${kind}: ${status}`);
      }
      t.ok(spentMs < HELD_MS_MAX, `${kind}: ${spentMs.toFixed(1)} ms`);
    }
  }
});
