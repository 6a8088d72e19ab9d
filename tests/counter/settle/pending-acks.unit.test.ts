import t from 'tap';
import { createPendingAcks } from '../../../counter/settle/pending-acks.ts';

const DEADLINE_MS = 10_000;

function createWith(sequences: number[], ackWaitFrom = 0) {
  const pending = createPendingAcks(DEADLINE_MS);
  pending.add(sequences.map((sequence) => ({ sequence, reply: `reply ${sequence}`, ackWaitFrom })));
  const due = (now: number) => {
    const { toExtend, overdue } = pending.due(now);
    const sequencesOf = (list: typeof overdue) => list.map(({ sequence }) => sequence);
    return { toExtend: sequencesOf(toExtend), overdue: sequencesOf(overdue) };
  };
  return { pending, due };
}

void t.test('a message that no purge removes is extended once, and then overdue', (t) => {
  const { pending, due } = createWith([1, 2]);
  t.strictSame(due(9_999), { toExtend: [], overdue: [] });
  t.strictSame(due(10_000), { toExtend: [1, 2], overdue: [] });
  t.strictSame(due(19_999), { toExtend: [], overdue: [] });
  t.strictSame(due(20_000), { toExtend: [], overdue: [1, 2] });
  t.strictSame(due(20_500), { toExtend: [], overdue: [1, 2] }, 'until it is acknowledged');
  t.strictSame(
    pending.take([2, 3]).map(({ reply }) => reply),
    ['reply 2'],
    'what a purge took meanwhile needs none',
  );
  t.equal(pending.size, 1);
  t.end();
});

void t.test('a purge removes everything up to the floor, in any state', (t) => {
  const { pending, due } = createWith([1, 2, 5]);
  due(10_000);
  pending.add([{ sequence: 3, reply: '', ackWaitFrom: 10_000 }]);
  pending.removeThrough(3);
  t.notOk(pending.has(3));
  t.ok(pending.has(5));
  t.strictSame(
    pending.takeAll().map(({ sequence }) => sequence),
    [5],
  );
  t.equal(pending.size, 0);
  t.end();
});

void t.test('a message that is delivered again has a new reply and a new deadline', (t) => {
  const { pending, due } = createWith([1, 2]);
  t.ok(pending.renew(1, 'new', 5_000));
  t.notOk(pending.renew(3, 'new', 5_000), 'it is not committed');
  t.strictSame(due(10_000), { toExtend: [2], overdue: [] });
  t.strictSame(
    pending.takeAll().map(({ reply }) => reply),
    ['new', 'reply 2'],
  );
  t.end();
});
