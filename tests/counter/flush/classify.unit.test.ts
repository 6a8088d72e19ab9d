import { randomUUID } from 'node:crypto';
import t from 'tap';
import {
  addToBatch,
  createFlushBatch,
  type HeldMessage,
} from '../../../counter/consume/flush-batch.ts';
import { classify, deduplicate } from '../../../counter/flush/classify.ts';
import type { KnownMessage } from '../../../counter/flush/ledger.ts';

const INCARNATION = 5;

interface Given {
  sequence: number;
  id?: string;
  digest?: string;
  /** Its increments are in the tally, and its body is gone. */
  isTallied?: boolean;
  refusal?: 'late';
  isNewer?: boolean;
}

function batchOf(given: Given[]) {
  const batch = createFlushBatch();
  for (const { sequence, id = randomUUID(), digest = 'd', ...kind } of given) {
    const { isTallied = false, isNewer = false, refusal } = kind;
    const message: HeldMessage = {
      sequence,
      id,
      reply: '',
      storedAtMs: 0,
      enteredAt: 0,
      ackWaitFrom: 0,
      digest,
      increments: 1,
      total: 1,
    };
    if (!isTallied) {
      message.body = { subject: '', text: '', envelope: undefined, rejected: [] };
      if (refusal !== undefined) message.body.refusal = refusal;
      if (isNewer) message.body.newer = { version: 2, payload: new Uint8Array() };
    }
    addToBatch(batch, message);
  }
  return batch;
}

/** @param rows what the ledger has before; an id or a sequence of the same incarnation is not inserted again. */
function classifyAll(given: Given[], rows: Partial<KnownMessage>[] = []) {
  const messages = deduplicate(batchOf(given));
  const before = rows.map((row) => ({
    id: randomUUID(),
    incarnation: INCARNATION,
    sequence: 0,
    digest: 'd',
    ...row,
  }));
  const isKnown = ({ id, sequence }: HeldMessage) =>
    before.some(
      (row) => row.id === id || (row.sequence === sequence && row.incarnation === INCARNATION),
    );
  const known = messages.firsts.filter(isKnown);
  const inserted = messages.firsts
    .filter((message) => !isKnown(message))
    .map((message) => ({ ...message, incarnation: INCARNATION }));
  const found = classify(messages, {
    knownIds: new Set(known.map(({ id }) => id)),
    rows: [...before, ...inserted],
    incarnation: INCARNATION,
  });
  const sequences = (list: HeldMessage[]) => list.map(({ sequence }) => sequence);
  return {
    fresh: sequences(found.fresh),
    parked: sequences(found.parked),
    tallied: sequences(found.tallied),
    alreadyApplied: found.alreadyApplied,
    settledEmpty: sequences(found.settledEmpty),
    reused: sequences(found.reused),
  };
}

const NOTHING = {
  fresh: [],
  parked: [],
  tallied: [],
  alreadyApplied: 0,
  settledEmpty: [],
  reused: [],
};

void t.test('what each message is to the ledger', (t) => {
  t.strictSame(
    classifyAll([{ sequence: 2, isTallied: true }, { sequence: 1 }]),
    { ...NOTHING, fresh: [1, 2], tallied: [2] },
    'fresh',
  );
  t.strictSame(
    classifyAll([{ sequence: 7, id: 'a' }], [{ id: 'a', sequence: 7 }]),
    { ...NOTHING, alreadyApplied: 1 },
    'applied by an earlier delivery: nothing to do',
  );
  t.strictSame(
    classifyAll([{ sequence: 8, id: 'a' }], [{ id: 'a', sequence: 7 }]),
    { ...NOTHING, alreadyApplied: 1, settledEmpty: [8] },
    'stored twice: its second sequence is settled',
  );
  t.strictSame(
    classifyAll([{ sequence: 7, id: 'a' }], [{ id: 'a', sequence: 7, incarnation: 4 }]),
    { ...NOTHING, alreadyApplied: 1, settledEmpty: [7] },
    'counted from a stream before this one',
  );
  t.strictSame(
    classifyAll([{ sequence: 8, id: 'a', digest: 'x' }], [{ id: 'a', sequence: 7 }]),
    { ...NOTHING, alreadyApplied: 1, settledEmpty: [8], reused: [8] },
    'another content under a known id',
  );
  t.strictSame(
    classifyAll([
      { sequence: 1, id: 'a' },
      { sequence: 2, id: 'a' },
      { sequence: 3, id: 'a', digest: 'x' },
      { sequence: 4, refusal: 'late' },
    ]),
    { ...NOTHING, fresh: [1], alreadyApplied: 2, settledEmpty: [4, 2, 3], reused: [3] },
    'copies within a batch, and a refused message',
  );
  t.end();
});

void t.test('a message in the place of another is never taken for it', (t) => {
  t.throws(() => classifyAll([{ sequence: 7, id: 'b', digest: 'x' }], [{ id: 'a', sequence: 7 }]), {
    name: 'StoresDisagree',
    kind: 'stream-went-back',
  });
  t.end();
});

void t.test('a message of a newer version is parked once', (t) => {
  const newer = (sequence: number) => ({ sequence, id: 'a', isNewer: true });
  t.strictSame(classifyAll([newer(1)]), { ...NOTHING, parked: [1] });
  t.strictSame(
    classifyAll([newer(1), newer(2)]),
    { ...NOTHING, parked: [1], alreadyApplied: 1, settledEmpty: [2] },
    'a copy is a repeat',
  );
  t.strictSame(
    classifyAll([newer(1)], [{ id: 'a', sequence: 1 }]),
    { ...NOTHING, alreadyApplied: 1 },
    'it may be counted by now',
  );
  const unnamed = deduplicate(batchOf([{ sequence: 1, id: '', isNewer: true }]));
  t.equal(unnamed.unnamed.length, 1);
  t.strictSame(unnamed.firsts, []);
  t.end();
});

void t.test('a tally is added whole or not at all', (t) => {
  const both = [
    { sequence: 1, id: 'a', isTallied: true },
    { sequence: 2, id: 'b', isTallied: true },
  ];
  const [a, b] = [
    { id: 'a', sequence: 1 },
    { id: 'b', sequence: 2 },
  ];
  t.strictSame(classifyAll(both, [a, b]), { ...NOTHING, alreadyApplied: 2 }, 'a lost answer');
  t.throws(() => classifyAll(both, [a]), { name: 'FlushConflict', reason: 'tally-split' });
  t.strictSame(
    classifyAll([both[0]!, { sequence: 3, id: 'b' }], [b]).tallied,
    [1],
    'what has its body does not split it',
  );
  t.end();
});

void t.test('what can not be decided now comes again', (t) => {
  const messages = deduplicate(batchOf([{ sequence: 1, id: 'a' }]));
  const known = { knownIds: new Set(['a']), rows: [], incarnation: INCARNATION };
  t.throws(() => classify(messages, known), { name: 'FlushConflict', reason: 'ledger-row-pruned' });
  t.throws(
    () =>
      classifyAll(
        [{ sequence: 8, id: 'a', digest: 'x', isTallied: true }],
        [{ id: 'a', sequence: 7 }],
      ),
    { name: 'FlushConflict', reason: 'id-reused-in-tally' },
    'its dead letter needs the body',
  );
  t.end();
});
