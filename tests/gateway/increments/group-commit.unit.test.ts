import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createGroupCommit } from '../../../gateway/increments/group-commit.ts';
import { NothingStored, type Publisher, type Stored } from '../../../nats/publisher.ts';

/** A broker of one's own making: each message stays in flight until the test answers it. */
function createBroker(t: Test, { deadlineMs = 60_000 } = {}) {
  // Timers of the code keep no process alive; a gateway's sockets do.
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => clearInterval(alive));
  const messages: { body: string; answer: (outcome: Stored | Error) => void }[] = [];
  let onChange = (_isConnected: boolean): void => undefined;
  let isConnected = true;
  const publisher: Publisher = {
    get isConnected() {
      return isConnected;
    },
    bodyBytesMax: 100,
    onConnectionChange: (listener) => (onChange = listener),
    publish: ({ body }) =>
      new Promise((resolve, reject) => {
        const answer = (outcome: Stored | Error) =>
          outcome instanceof Error ? reject(outcome) : resolve(outcome);
        messages.push({ body, answer });
      }),
  };
  const setConnected = (value: boolean) => {
    isConnected = value;
    onChange(value);
  };
  let made = 0;
  const queue = createGroupCommit<string>({
    publisher,
    subject: 'increments.http',
    packMax: 500,
    inFlightMax: 2,
    lateMs: 1_000,
    holdTurns: 3,
    waitingMax: 100,
    waitingBytesMax: 1_000,
    deadlineMs,
    makeId: () => `id-${++made}`,
    encode: (id, items) => `${id}: ${items.join(',')}`,
    count: () => 1,
  });
  const submit = (item: string) => queue.submit(item, item.length);
  return { queue, messages, setConnected, submit };
}

void t.test('what is submitted in one turn shares a message and its receipt', async (t) => {
  const { messages, submit } = createBroker(t);
  const receipts = Promise.all(['a', 'b', 'c'].map(submit));
  await nextTurn();
  t.strictSame(
    messages.map(({ body }) => body),
    ['id-1: a,b,c'],
  );
  const later = submit('d');
  await nextTurn();
  t.equal(messages.length, 1, 'what comes meanwhile waits for the acknowledgement');
  messages[0]?.answer({ sequence: 7 });
  t.strictSame(
    await receipts,
    Array.from({ length: 3 }, () => ({ id: 'id-1', sequence: 7 })),
  );
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  t.equal(messages[1]?.body, 'id-2: d');
  messages[1]?.answer({ sequence: 8 });
  t.strictSame(await later, { id: 'id-2', sequence: 8 });
});

void t.test('the next message is under way before the last one is answered', async (t) => {
  const { messages, submit } = createBroker(t);
  const answered: number[] = [];
  const first = submit('a').then(() => answered.push(messages.length));
  await nextTurn();
  void submit('b');
  messages[0]?.answer({ sequence: 1 });
  await first;
  t.strictSame(answered, [2]);
});

void t.test('clients that were answered together leave together, once most are back', async (t) => {
  const { messages, submit } = createBroker(t);
  const letters = Array.from('abcdefghij');
  const stored = Promise.all(letters.map(submit));
  await nextTurn();
  messages[0]?.answer({ sequence: 1 });
  await stored;
  for (const letter of letters.slice(0, 5)) void submit(letter);
  await nextTurn();
  t.equal(messages.length, 1, 'half of them wait for the others');
  for (const letter of letters.slice(5)) void submit(letter);
  await nextTurn();
  t.equal(messages[1]?.body, 'id-2: a,b,c,d,e,f,g,h,i,j');

  messages[1]?.answer({ sequence: 2 });
  await nextTurn();
  void submit('k');
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  t.equal(messages[2]?.body, 'id-3: k', 'and do not wait for long');
});

void t.test(
  'a refusal says that nothing was stored, any other failure that it is unknown',
  async (t) => {
    const { messages, submit } = createBroker(t);
    for (const [error, code] of [
      [new NothingStored('full', 'maximum bytes exceeded'), 'stream-full'],
      [new NothingStored('refused', 'sealed'), 'stream-refused'],
      [new NothingStored('away', 'no server'), 'broker-unavailable'],
      [new Error('no answer'), 'outcome-unknown'],
    ] as const) {
      const refused = submit('a').catch((reason: unknown) => reason);
      await nextTurn();
      messages.at(-1)?.answer(error);
      t.match(await refused, { name: 'NotAccepted', code });
    }
  },
);

void t.test(
  'a deadline is kept: not stored while it waited, unknown once it was sent',
  async (t) => {
    const { messages, submit, setConnected } = createBroker(t, { deadlineMs: 300 });
    setConnected(false);
    await t.rejects(submit('a'), { code: 'broker-unavailable' });
    t.equal(messages.length, 0, 'nothing is sent while disconnected');
    setConnected(true);
    await t.rejects(submit('b'), { code: 'outcome-unknown' });
    t.equal(messages.length, 1);
  },
);

void t.test('what waited for the connection leaves when it is back', async (t) => {
  const { messages, submit, setConnected } = createBroker(t);
  setConnected(false);
  const stored = submit('a');
  await nextTurn();
  setConnected(true);
  await nextTurn();
  messages[0]?.answer({ sequence: 1 });
  t.match(await stored, { sequence: 1 });
});

void t.test('a drain refuses what is new and waits for what is not answered', async (t) => {
  const { queue, messages, submit } = createBroker(t);
  const stored = submit('a');
  await nextTurn();
  let isDrained = false;
  const drained = queue.drain().then(() => (isDrained = true));
  await t.rejects(submit('b'), { code: 'stopping' });
  await nextTurn();
  t.notOk(isDrained);
  messages[0]?.answer({ sequence: 1 });
  await Promise.all([stored, drained]);
  await queue.drain();
});
