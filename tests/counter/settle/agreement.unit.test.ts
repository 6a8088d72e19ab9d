import t from 'tap';
import {
  afterAgreed,
  afterDisagreed,
  afterMadeAgain,
  afterReplaced,
  findCommitObstacle,
  findDisagreementSaid,
  startAgreement,
} from '../../../counter/settle/agreement.ts';
import { StoresDisagree, type Disagreement } from '../../../counter/settle/compare-stores.ts';

const STREAM = {
  incarnation: 1_000,
  firstSequence: 11,
  lastSequence: 12,
  messages: 2,
  unsettledSinceMs: 0,
};
const START = startAgreement(STREAM);
const NEW_INCARNATION = 5_000;

const because = (kind: Disagreement) => new StoresDisagree(kind, kind);
const suspectAt = (kind: Disagreement, ...times: number[]) =>
  times.reduce(
    (agreement, now) => afterDisagreed(agreement, because(kind), { now, graceMs: 100 }),
    START,
  );

void t.test('a disagreement stands at once, but for what another service may hold', (t) => {
  t.equal(findDisagreementSaid(START), undefined);
  for (const kind of ['stream-went-back', 'database-went-back', 'other-database'] as const) {
    t.equal(findDisagreementSaid(suspectAt(kind, 0))?.kind, kind);
  }
  t.equal(findDisagreementSaid(suspectAt('messages-gone', 0, 99)), undefined);
  const gone = suspectAt('messages-gone', 0, 100);
  t.equal(findDisagreementSaid(gone)?.kind, 'messages-gone');
  const other = afterDisagreed(gone, because('database-went-back'), { now: 101, graceMs: 100 });
  t.equal(findDisagreementSaid(other)?.kind, 'database-went-back', 'another one is said too');
  t.equal(findDisagreementSaid(afterAgreed(gone, STREAM)), undefined, 'until the stores agree');
  t.end();
});

void t.test('a comparison that ends late forgets nothing that is proven', (t) => {
  const later = afterAgreed(START, { ...STREAM, firstSequence: 21 });
  t.equal(afterAgreed(later, STREAM).provenThrough, 20);
  t.end();
});

void t.test('what is held is committed, but for messages of another stream', (t) => {
  for (const kind of ['stream-went-back', 'messages-gone', 'other-database'] as const) {
    t.equal(findCommitObstacle(suspectAt(kind, 0), 9_000), undefined, kind);
  }
  const madeAgain = afterMadeAgain(START, because('stream-made-again'), NEW_INCARNATION);
  // A comparison that began before ends after it.
  for (const agreement of [madeAgain, afterAgreed(madeAgain, STREAM)]) {
    t.equal(findDisagreementSaid(agreement)?.kind, 'stream-made-again');
    t.equal(findCommitObstacle(agreement, NEW_INCARNATION - 1), undefined, 'stored before');
    t.equal(findCommitObstacle(agreement, NEW_INCARNATION)?.kind, 'stream-made-again');
  }
  t.end();
});

void t.test('a message in the place of another stands, though the stores seem to agree', (t) => {
  const replaced = afterReplaced(START, because('stream-went-back'));
  t.equal(findDisagreementSaid(afterAgreed(replaced, STREAM))?.kind, 'stream-went-back');
  t.equal(findCommitObstacle(replaced, 0), undefined, 'what is held is committed');
  t.end();
});
