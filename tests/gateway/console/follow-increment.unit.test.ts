import t, { type Test } from 'tap';

// The page is plain JavaScript, for browsers: it gets what it uses of one.
const page = new URL('../../../gateway/console/page/follow-increment.js', import.meta.url).href;
const { followIncrements } = (await import(page)) as { followIncrements: () => void };

interface Sent {
  path: string;
  key: string | undefined;
}

/** The form with a gateway that answers so; `post` presses its button and resolves with what is shown. */
function openForm(t: Test, answers: (path: string) => [status: number, body: object] | undefined) {
  const elements = new Map<string, any>();
  const byId = (id: string) => {
    if (!elements.has(id)) {
      const listeners: Record<string, (event: object) => void> = {};
      const addEventListener = (name: string, listener: (event: object) => void) => {
        listeners[name] = listener;
      };
      elements.set(id, { value: '1', dataset: {}, textContent: '', listeners, addEventListener });
    }
    return elements.get(id);
  };
  const sent: Sent[] = [];
  const stubs: Record<string, unknown> = {
    document: { getElementById: byId, querySelectorAll: () => [] },
    sessionStorage: { getItem: () => null },
    fetch: (path: string, { headers }: { headers: Record<string, string> }) => {
      sent.push({ path, key: headers['idempotency-key'] });
      const answer = answers(path);
      if (answer === undefined) return Promise.reject(new TypeError('Failed to fetch'));
      return Promise.resolve({ status: answer[0], json: () => Promise.resolve(answer[1]) });
    },
  };
  for (const [name, value] of Object.entries(stubs)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    t.teardown(() => {
      if (before === undefined) Reflect.deleteProperty(globalThis, name);
      else Object.defineProperty(globalThis, name, before);
    });
  }
  followIncrements();
  const post = async () => {
    byId('increment').listeners.submit({ preventDefault: () => undefined });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { textContent, dataset } = byId('increment-status');
    return { text: textContent as string, level: dataset.level as string };
  };
  return { post, sent };
}

const ACCEPTED = { accepted: 1, id: 'm', sequence: 14 };

function committed(increments: object) {
  return (path: string): [number, object] => {
    if (path === 'increment') return [200, ACCEPTED];
    if (path === 'increments/m') return [200, { committed: true, parked: false, increments }];
    return [404, { code: 'no-such-counter' }];
  };
}

void t.test('an increment that became a dead letter is not said to be counted', async (t) => {
  const dead_letters = [{ reason: 'refused-by-database', count: 1 }];
  const alone = openForm(t, committed({ counted: 0, repeated: 0, dead_letters }));
  t.match(await alone.post(), {
    text: /Not counted: it is a dead letter, refused-by-database\.$/,
    level: 'bad',
  });
  const among = openForm(t, committed({ counted: 3, repeated: 0, dead_letters }));
  t.match(await among.post(), { text: /dead letter, .*: perhaps this one\.$/, level: 'bad' });
  const counted = openForm(t, committed({ counted: 1, repeated: 0, dead_letters: [] }));
  t.match(await counted.post(), { text: /Committed after/, level: 'good' });
});

void t.test('one that is parked is said to be', async (t) => {
  let isParked = true;
  const { post } = openForm(t, (path) => {
    if (path === 'increment') return [200, ACCEPTED];
    return isParked ? [200, { committed: false, parked: true }] : [404, { detail: 'the end' }];
  });
  t.match((await post()).text, /Parked/);
  isParked = false;
  await new Promise((resolve) => setTimeout(resolve, 600));
});

void t.test('one that may be stored is not said to be refused, and counts once', async (t) => {
  const answers = [undefined, [503, { code: 'outcome-unknown', detail: 'No answer.' }], [422, {}]];
  const { post, sent } = openForm(t, () => answers.shift() as [number, object] | undefined);
  t.match((await post()).text, /^Perhaps accepted: .* The gateway did not answer\.$/);
  t.match((await post()).text, /^Perhaps accepted: .* No answer\.$/);
  t.match((await post()).text, /^Not accepted/);
  await post();
  const [first, second, third, fourth] = sent.map(({ key }) => key);
  t.type(first, 'string');
  t.strictSame([second, third], [first, first], 'the same again');
  t.not(fourth, first, 'another one');
});
