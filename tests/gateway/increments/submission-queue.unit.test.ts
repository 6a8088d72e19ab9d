import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  createSubmissionQueue,
  type Submission,
} from '../../../gateway/increments/submission-queue.ts';

const OPTIONS = {
  waitingMax: 10,
  waitingBytesMax: 1_000,
  packMax: 3,
  inFlightMax: 2,
  lateMs: 5,
  holdTurns: 0,
};
const BYTES_MAX = 100;

function createQueue(options: Partial<typeof OPTIONS> = {}) {
  const queue = createSubmissionQueue<Submission>({ ...OPTIONS, ...options });
  const submit = (expiresAt = 1_000, bytes = 1) => {
    const submission = { expiresAt, bytes };
    return { submission, isAdded: queue.add(submission) };
  };
  return { ...queue, queue, submit };
}

void t.test('what waits leaves together, oldest first, as much as fits into a message', (t) => {
  const { queue, submit, take } = createQueue({ inFlightMax: 10, lateMs: 0 });
  const all = [60, 39, 1, 1, 1, 1].map((bytes) => submit(1_000, bytes).submission);
  t.strictSame(
    take(0, BYTES_MAX),
    all.slice(0, 1),
    '60 and 39 bytes and their commas are too many',
  );
  t.strictSame(take(0, BYTES_MAX), all.slice(1, 4), 'three at most');
  t.strictSame(take(0, BYTES_MAX), all.slice(4));
  t.equal(take(0, BYTES_MAX), undefined, 'nothing waits');
  t.equal(queue.waiting, 0);
  t.end();
});

void t.test('a second message leaves only when the first is late, and no third', (t) => {
  const { submit, take, finish, wakeAt } = createQueue({ packMax: 1 });
  for (let count = 0; count < 4; count++) submit();
  const first = take(0, BYTES_MAX)!;
  t.equal(take(4, BYTES_MAX), undefined);
  t.equal(wakeAt(true), 5, 'then it is late');
  t.equal(wakeAt(false), 1_000, 'while nothing can be sent, only what expires matters');
  t.equal(take(5, BYTES_MAX)?.length, 1);
  t.equal(take(500, BYTES_MAX), undefined, 'both slots are taken');
  t.equal(wakeAt(true), 1_000);
  finish(first);
  t.equal(take(500, BYTES_MAX)?.length, 1);
  t.end();
});

void t.test('a message waits some turns for the clients that were answered last', (t) => {
  const { queue, submit, take, finish, wakeAt } = createQueue({ packMax: 20, holdTurns: 2 });
  const takeMany = (count: number) => {
    for (let added = 0; added < count; added++) submit();
    return take(0, BYTES_MAX);
  };
  finish(takeMany(1)!);
  const single = takeMany(1);
  t.equal(single?.length, 1, 'a single client waits for nobody');
  finish(single!);

  finish(takeMany(10)!);
  t.equal(takeMany(6), undefined, 'ten were answered, six are back');
  t.ok(queue.isHolding);
  t.equal(wakeAt(true), 1_000, 'and no timer is needed');
  const most = takeMany(3);
  t.equal(most?.length, 9, 'most of them are enough');
  t.notOk(queue.isHolding);

  finish(most!);
  t.equal(takeMany(1), undefined);
  t.equal(takeMany(0), undefined);
  const few = takeMany(0);
  t.equal(few?.length, 1, 'after two turns it leaves with what is there');
  t.end();
});

void t.test('a message waits for nobody while another one is late', (t) => {
  const { submit, take, finish } = createQueue({ packMax: 20, holdTurns: 2 });
  for (let added = 0; added < 10; added++) submit();
  finish(take(0, BYTES_MAX)!);
  for (let added = 0; added < 10; added++) submit();
  t.equal(take(0, BYTES_MAX)?.length, 10);
  submit();
  t.equal(take(5, BYTES_MAX)?.length, 1);
  t.end();
});

void t.test(
  'what expires while it waits is not stored; in a message its outcome is unknown',
  (t) => {
    const { queue, submit, take, finish, expire, wakeAt } = createQueue({ packMax: 2 });
    const [one, two, three] = [submit(10), submit(20), submit(20)].map((each) => each.submission);
    const pack = take(0, BYTES_MAX)!;
    t.strictSame(expire(9), { notStored: [], outcomeUnknown: [] });
    t.strictSame(expire(10), { notStored: [], outcomeUnknown: [one] });
    t.equal(wakeAt(false), 20);
    t.strictSame(expire(25), { notStored: [three], outcomeUnknown: [two] });
    t.strictSame(expire(30), { notStored: [], outcomeUnknown: [] }, 'each once');
    t.equal(wakeAt(true), Infinity);
    t.notOk(queue.isIdle, 'its message is in flight');
    finish(pack);
    t.ok(queue.isIdle);
    t.end();
  },
);

void t.test('more than may wait is refused, by number and by bytes', (t) => {
  const byCount = createQueue();
  const added = Array.from({ length: 11 }, () => byCount.submit().isAdded);
  t.strictSame(added, [...Array<boolean>(10).fill(true), false]);
  byCount.take(0, BYTES_MAX);
  t.ok(byCount.submit().isAdded, 'there is room again');

  const byBytes = createQueue();
  t.strictSame(
    [600, 500, 400].map((bytes) => byBytes.submit(1_000, bytes).isAdded),
    [true, false, true],
  );
  t.end();
});

void t.test('nothing is lost, doubled or reordered, whatever comes in whichever order', (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), bytes: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ kind: fc.constant('take' as const) }),
    fc.record({ kind: fc.constant('finish' as const), index: fc.nat(1) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(8) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.nat(3), (steps, holdTurns) => {
      const { queue, submit } = createQueue({ holdTurns });
      const added: Submission[] = [];
      const seen: Submission[] = [];
      const inFlight: Submission[][] = [];
      let now = 0;
      for (const each of steps) {
        if (each.kind === 'wait') now += each.ms;
        if (each.kind === 'add') {
          const { submission, isAdded } = submit(now + 20, each.bytes);
          if (isAdded) added.push(submission);
        }
        seen.push(...queue.expire(now).notStored);
        if (each.kind === 'take') {
          const pack = queue.take(now, BYTES_MAX);
          if (pack !== undefined) inFlight.push(pack);
          seen.push(...(pack ?? []));
        }
        if (each.kind === 'finish') inFlight.splice(each.index, 1).forEach(queue.finish);
        assert(inFlight.length <= OPTIONS.inFlightMax);
        assert.equal(queue.isIdle, queue.waiting === 0 && inFlight.length === 0);
      }
      assert.deepEqual(seen, added.slice(0, seen.length));
      assert.equal(queue.waiting, added.length - seen.length);
    }),
  );
  t.end();
});
