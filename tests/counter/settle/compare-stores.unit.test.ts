import t from 'tap';
import {
  findDisagreement,
  type Disagreement,
  type Proof,
} from '../../../counter/settle/compare-stores.ts';

/** Removed through 10, and 12 is the last. */
const STREAM = {
  incarnation: 1,
  firstSequence: 11,
  lastSequence: 12,
  messages: 2,
  unsettledSinceMs: 0,
};
/** All removed messages are settled: 4 pruned, 6 in the ledger. */
const PROOF: Proof = {
  prunedThrough: 4,
  last: 12,
  isProvenKnown: true,
  settled: 6,
  lastStoredMs: 1_000,
  floor: 12,
};

const CASES: [string, Partial<Proof> | undefined, number, Disagreement | undefined][] = [
  ['all is settled', {}, 0, undefined],
  ['some was found settled before', { settled: 2 }, 8, undefined],
  ['what was found settled before is pruned', { prunedThrough: 10, settled: 0 }, 8, undefined],
  ['the last removed message is not settled', { settled: 5 }, 0, 'messages-gone'],
  ['one since the last look is not settled', { settled: 1 }, 8, 'messages-gone'],
  ['what was settled is unknown', { isProvenKnown: false, settled: 0 }, 8, 'database-went-back'],
  ['more is counted than the stream has', { last: 13 }, 0, 'stream-went-back'],
  ['the database does not know the stream', undefined, 0, 'other-database'],
];

void t.test('what stream and database say of one another', (t) => {
  for (const [name, proof, provenThrough, kind] of CASES) {
    const look = { provenThrough };
    const found = findDisagreement(STREAM, proof && { ...PROOF, ...proof }, look);
    t.equal(found?.kind, kind, name);
  }
  const newStream = { ...STREAM, firstSequence: 1 };
  t.equal(findDisagreement(newStream, undefined), undefined, 'a new stream');
  const others = { ...newStream, countedBy: 'other' };
  const look = { databaseId: 'own' };
  t.equal(findDisagreement(others, undefined, look)?.kind, 'other-database', 'of another mesh');
  const own = { ...newStream, countedBy: 'own' };
  t.equal(findDisagreement(own, undefined, look), undefined, 'a new stream of this mesh');
  t.equal(findDisagreement({ ...STREAM, countedBy: 'other' }, PROOF), undefined, 'after a move');
  t.end();
});

void t.test('what is gone is named with its number and its cause', (t) => {
  const gone = { ...PROOF, settled: 4 };
  t.match(
    findDisagreement(STREAM, gone)?.message,
    /^2 of the messages 5 to 10 left the stream, .*It was purged by hand/,
  );
  t.match(
    findDisagreement({ ...STREAM, limitedBy: 'max_age of 10 s' }, gone)?.message,
    /Its max_age of 10 s removed them/,
  );
  t.end();
});

void t.test('a stream that went back is noticed though it has grown past what is counted', (t) => {
  const found = (storedMs?: number) =>
    findDisagreement(
      { ...STREAM, lastSequence: 99 },
      PROOF,
      storedMs === undefined ? {} : { storedMs },
    );
  t.match(found(9_000), {
    kind: 'stream-went-back',
    message: /^Message 12 is counted or held, and the stream has another/,
  });
  t.equal(found(1_000), undefined, 'the message that was counted');
  t.equal(found(), undefined, 'it was removed since');
  t.end();
});
