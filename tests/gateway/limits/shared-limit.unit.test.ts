import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createSharedLimit, type SharedLimit } from '../../../gateway/limits/shared-limit.ts';
import type { Channel } from '../../../nats/channel.ts';

const WINDOW_MS = 60_000;

/** Gateways that hear each other a turn of the event loop later, as by a broker. */
function createBus() {
  const listeners = new Map<string, Set<(text: string) => void>>();
  const cutOff = new Set<string>();
  /** Of each gateway: from which ones it has heard. */
  const greetings = new Map<string, Set<string>>();
  /** Of the longest text. */
  let bytesMax = 0;
  function open(name: string): Channel {
    return {
      publish: (topic, text) => {
        bytesMax = Math.max(bytesMax, Buffer.byteLength(text));
        if (cutOff.has(name)) return;
        for (const listener of listeners.get(topic) ?? []) setImmediate(listener, text);
      },
      subscribe: (topic, listener) => {
        const hear = (text: string) => {
          if (cutOff.has(name)) return;
          listener(text, topic);
          if (topic === 'members')
            greetings.set(name, (greetings.get(name) ?? new Set()).add(text));
        };
        const all = listeners.get(topic) ?? new Set();
        listeners.set(topic, all.add(hear));
        return () => all.delete(hear);
      },
    };
  }
  /** Until each of so many gateways has heard from all. */
  async function untilGreeted(count: number): Promise<void> {
    const areComplete = () =>
      [...greetings.values()].filter(({ size }) => size >= count).length >= count;
    while (!areComplete()) await delay(1);
  }

  return { open, cutOff, untilGreeted, readBytesMax: () => bytesMax };
}

async function startGateways(t: Test, count: number) {
  const bus = createBus();
  const gateways = Array.from({ length: count }, (_, index) =>
    createSharedLimit(WINDOW_MS, bus.open(`gateway ${index}`)),
  );
  // Timers of the code keep no process alive; a gateway's sockets do.
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => {
    clearInterval(alive);
    for (const gateway of gateways) gateway.close();
  });
  await bus.untilGreeted(count);
  return { gateways, bus };
}

async function countGranted(gateways: SharedLimit[], client: string, ask: Ask): Promise<number> {
  const taken = await Promise.all(
    Array.from({ length: ask.times }, async (_, index) =>
      gateways[index % gateways.length]!.take(client, ask.limit, ask.cost ?? 1),
    ),
  );
  return taken.filter(({ isAllowed }) => isAllowed).length;
}

interface Ask {
  limit: number;
  times: number;
  cost?: number;
}

void t.test('what passes is the limit, through whichever gateways it comes', async (t) => {
  const { gateways } = await startGateways(t, 8);
  t.equal(await countGranted(gateways, 'small', { limit: 5, times: 200 }), 5);
  t.equal(await countGranted(gateways, 'one', { limit: 1, times: 50 }), 1);
  t.equal(await countGranted(gateways, 'large', { limit: 3_000, times: 10_000 }), 3_000);
  t.equal(await countGranted(gateways, 'batches', { limit: 30, cost: 10, times: 12 }), 3);
  t.equal(await countGranted(gateways, 'below', { limit: 100, times: 100 }), 100);
});

void t.test('clients have keepers all over the gateways', async (t) => {
  const { gateways } = await startGateways(t, 4);
  const clients = Array.from({ length: 400 }, (_, index) => `address 192.0.2.${index}`);
  for (const gateway of gateways) {
    const kept = clients.filter((client) => !(gateway.take(client, 1, 1) instanceof Promise));
    t.ok(kept.length > 50 && kept.length < 150, `${kept.length} of 400`);
  }
});

void t.test('a gateway that comes or goes begins no new limit', async (t) => {
  const { gateways, bus } = await startGateways(t, 2);
  const clients = Array.from({ length: 50 }, (_, index) => `client ${index}`);
  const ask = { limit: 4, times: 4 };
  for (const client of clients) t.equal(await countGranted(gateways, client, ask), 4);

  const third = createSharedLimit(WINDOW_MS, bus.open('gateway 2'));
  await bus.untilGreeted(3);
  // Some clients have their count at the new one now, which is told what was used.
  for (const client of clients) t.equal(await countGranted(gateways, client, ask), 0, 'it came');
  third.close();
  await delay(50);
  for (const client of clients) t.equal(await countGranted(gateways, client, ask), 0, 'it left');
});

void t.test(
  'a gateway that is cut off limits by itself, and costs no request more than a moment',
  async (t) => {
    const { gateways, bus } = await startGateways(t, 2);
    bus.cutOff.add('gateway 0');
    for (const client of ['a', 'b', 'c', 'd']) {
      t.equal(await countGranted([gateways[0]!], client, { limit: 3, times: 5 }), 3, client);
      t.notOk(gateways[0]!.take(client, 3, 1) instanceof Promise, 'it asks nobody any more');
      t.equal(await countGranted([gateways[1]!], client, { limit: 3, times: 5 }), 3, client);
    }
  },
);

void t.test('what is no message of a gateway is left out', async (t) => {
  const { gateways, bus } = await startGateways(t, 2);
  const other = bus.open('other');
  const asked: string[] = [];
  other.subscribe('members', (text) => asked.push(text.split(' ')[1] ?? ''));
  await delay(1_100);
  for (const id of new Set(asked)) {
    for (const text of ['not json', 'null', '{}', '{"from":"a.b","number":1,"asks":[]}']) {
      other.publish(`ask.${id}`, text);
      other.publish(`answer.${id}`, text);
    }
    other.publish(`answer.${id}`, JSON.stringify({ number: 1, taken: [] }));
  }
  for (const text of ['', 'hello', 'hello a.b', `hello ${'x'.repeat(65)}`, 'goodbye nobody']) {
    other.publish('members', text);
  }
  t.equal(await countGranted(gateways, 'a', { limit: 3, times: 10 }), 3);
});

void t.test('no message between gateways is larger than any broker takes', async (t) => {
  const { bus, gateways } = await startGateways(t, 2);
  const longest = (index: number) => `increments key ${String(index).padStart(64, 'k')}`;
  const taken = Array.from({ length: 1_500 }, (_, index) =>
    gateways.map(async (gateway) => gateway.take(longest(index), 2, 1)),
  );
  const results = await Promise.all(taken.flat());
  t.ok(
    results.every(({ isAllowed }) => isAllowed),
    'all are decided',
  );
  const bytes = bus.readBytesMax();
  t.ok(bytes > 10_000 && bytes < 64 * 1024, `${bytes} bytes at most`);
});
