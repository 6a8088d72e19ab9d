import t from 'tap';
import { createFlushClock } from '../../../counter/consume/flush-clock.ts';
import { createMessageBuffer } from '../../../counter/consume/message-buffer.ts';
import type { Settler } from '../../../counter/settle/settle.ts';
import { encodeEnvelope, encodeIncrement } from '../../../schema/message/envelope.ts';
import { mintId } from '../../../schema/message/message-id.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';

function createBuffer(options: { messagesMax?: number; keysMax?: number } = {}) {
  const committed = new Map<number, string>();
  const replaced: number[] = [];
  const settler = {
    renew: (sequence: number, reply: string) =>
      committed.has(sequence) && committed.set(sequence, reply) === committed,
  } as Settler;
  const buffer = createMessageBuffer({
    messagesMax: 100,
    keysMax: 100,
    settler,
    brokerTimeMs: Date.now,
    onSkew: () => undefined,
    isSuspect: () => false,
    isParkingFull: () => false,
    onReplaced: (sequence) => replaced.push(sequence),
    ...options,
  });
  const storedAt = new Map<number, number>();
  const ids = new Map<number, string>();
  /** A message keeps its id however often it is delivered. */
  const deliver = (sequence: number, { reply = 'first', key = KEY, deliveryCount = 1 } = {}) => {
    const storedAtMs = storedAt.get(sequence) ?? Date.now();
    storedAt.set(sequence, storedAtMs);
    const id = ids.get(sequence) ?? mintId(storedAtMs);
    ids.set(sequence, id);
    const data = Buffer.from(encodeEnvelope(id, [encodeIncrement({ key, value: 3 })]));
    const subject = 'increments.http';
    return buffer.accept({ data, subject, reply, sequence, deliveryCount, storedAtMs }, 0);
  };
  return { buffer, committed, replaced, storedAt, deliver };
}

void t.test('a message that is held already is not held twice, in whichever state', (t) => {
  const { buffer, committed, deliver } = createBuffer();
  deliver(1);
  deliver(1, { reply: 'second', deliveryCount: 2 });
  t.equal(buffer.collecting.tally.get(KEY), 3, 'while it is collected');
  t.equal(buffer.collecting.messages.get(1)?.reply, 'second', 'its acknowledgement goes there');

  const flushing = buffer.startFlush();
  deliver(1, { reply: 'third' });
  t.equal(buffer.messages, 1, 'while it is flushed');
  t.equal(flushing.messages.get(1)?.reply, 'third');

  buffer.endFlush();
  committed.set(1, 'third');
  deliver(1, { reply: 'fourth' });
  t.equal(buffer.messages, 0, 'while it waits to be settled');
  t.equal(committed.get(1), 'fourth');
  t.end();
});

void t.test('another message in the place of one that is held is never taken for it', (t) => {
  const { buffer, replaced, storedAt, deliver } = createBuffer();
  deliver(1);
  deliver(1, { reply: 'second', deliveryCount: 2 });
  t.strictSame(replaced, []);
  storedAt.set(1, storedAt.get(1)! + 1);
  deliver(1, { reply: 'of another' });
  t.strictSame(replaced, [1]);
  t.equal(buffer.collecting.messages.get(1)?.reply, 'second', 'nor acknowledged');
  t.end();
});

void t.test('a full buffer takes nothing more, and is flushed at half', (t) => {
  const clock = createFlushClock(9_000);
  const isDue = (buffer: ReturnType<typeof createBuffer>['buffer']) =>
    buffer.dueAt(clock) <= performance.now();
  const byMessages = createBuffer({ messagesMax: 4 });
  byMessages.deliver(1);
  t.notOk(isDue(byMessages.buffer));
  t.equal(byMessages.buffer.room, 3);
  byMessages.deliver(2);
  t.ok(isDue(byMessages.buffer));
  byMessages.buffer.startFlush();
  byMessages.deliver(3);
  byMessages.deliver(4);
  t.equal(byMessages.buffer.room, 0, 'what is flushed takes room too');
  byMessages.buffer.endFlush();
  t.equal(byMessages.buffer.room, 2);

  const byKeys = createBuffer({ keysMax: 2 });
  byKeys.deliver(1);
  t.ok(isDue(byKeys.buffer));
  t.equal(byKeys.buffer.room, 99);
  byKeys.deliver(2, { key: KEY.replace('8', '9') });
  t.equal(byKeys.buffer.room, 0);
  t.end();
});

void t.test('when it is due is asked with the rows that a flush would write', (t) => {
  const { buffer, deliver } = createBuffer();
  const asked: number[] = [];
  const clock = { dueAgeMs: (rows: number) => asked.push(rows), record: () => undefined };
  deliver(1);
  buffer.dueAt(clock);
  deliver(2, { deliveryCount: 2 });
  buffer.dueAt(clock);
  const ledgerAndCounter = 2;
  const ledgerAndKey = 2;
  t.strictSame(asked, [ledgerAndCounter, ledgerAndCounter + ledgerAndKey]);
  t.end();
});

void t.test('what waited for its flush longest is known by its ack_wait', (t) => {
  const { buffer, deliver } = createBuffer();
  deliver(1);
  buffer.startFlush();
  const between = performance.now();
  while (performance.now() === between);
  deliver(2);
  t.strictSame(
    buffer.ackWaitBegunBefore(between + 1e-9).map(({ sequence }) => sequence),
    [1],
  );
  t.equal(buffer.ackWaitBegunBefore(Infinity).length, 2);
  t.strictSame(
    buffer.dropCollecting().map(({ sequence }) => sequence),
    [2],
  );
  t.equal(buffer.messages, 1);
  t.end();
});
