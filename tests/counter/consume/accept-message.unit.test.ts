import t from 'tap';
import { acceptMessage, type AcceptOptions } from '../../../counter/consume/accept-message.ts';
import { createFlushBatch, type FlushBatch } from '../../../counter/consume/flush-batch.ts';
import type { Delivery } from '../../../nats/pull.ts';
import { encodeEnvelope, encodeIncrement } from '../../../schema/message/envelope.ts';
import { mintId } from '../../../schema/message/message-id.ts';

const KEY = '86f1fe5b-6dc7-45cb-9837-9e84757f5246';
const STORED_AT_MS = Date.UTC(2020, 0, 1);
const HALF_AN_HOUR_MS = 30 * 60_000;

interface Sent {
  body?: string;
  id?: string;
  idempotencyKey?: string;
  deliveryCount?: number;
}

function accept(sent: Sent, options: Partial<AcceptOptions> = {}, batch = createFlushBatch()) {
  const { id = mintId(STORED_AT_MS), idempotencyKey, deliveryCount = 1 } = sent;
  const increment = encodeIncrement({ key: KEY, value: 3, idempotency_key: idempotencyKey });
  const delivery: Delivery = {
    data: Buffer.from(sent.body ?? encodeEnvelope(id, [increment])),
    subject: 'increments.http',
    reply: '',
    sequence: batch.messages.size + 1,
    deliveryCount,
    storedAtMs: STORED_AT_MS,
  };
  const isHeld = acceptMessage(batch, delivery, {
    reconnectedAtMs: 0,
    isBeingFlushed: () => false,
    ...options,
  });
  return { isHeld, batch, message: batch.messages.get(delivery.sequence) };
}

const isTallied = ({ batch }: { batch: FlushBatch }) => batch.tally.get(KEY) === 3;

void t.test('what may have been counted before waits for the ledger with its body', (t) => {
  t.ok(isTallied(accept({})), 'a first delivery is added at once');
  t.equal(accept({}).message?.body, undefined);
  const id = mintId(STORED_AT_MS);
  const kept: [string, ReturnType<typeof accept>][] = [
    ['delivered again', accept({ deliveryCount: 2 })],
    ['stored before a reconnection', accept({}, { reconnectedAtMs: STORED_AT_MS + 1 })],
    ['with an idempotency key', accept({ idempotencyKey: 'public/a' })],
    ['of a key that was refused', accept({}, { isSuspect: (key) => key === KEY })],
    ['a copy of one in flush', accept({ id }, { isBeingFlushed: (one) => one === id })],
    ['late', accept({ id: mintId(STORED_AT_MS - HALF_AN_HOUR_MS - 1) })],
  ];
  for (const [name, accepted] of kept) {
    t.notOk(isTallied(accepted), name);
    t.ok(accepted.message?.body, name);
  }
  const { batch } = accept({ id });
  t.ok(accept({ id }, {}, batch).message?.body, 'a copy of one in the batch');
  t.equal(batch.tally.get(KEY), 3);
  t.end();
});

void t.test('a message that is stored long after it was made is never counted', (t) => {
  for (const [skewMs, refusal] of [
    [HALF_AN_HOUR_MS, undefined],
    [HALF_AN_HOUR_MS + 1, 'late'],
    [-HALF_AN_HOUR_MS, undefined],
    [-HALF_AN_HOUR_MS - 1, 'late'],
  ] as const) {
    const { message } = accept({ id: mintId(STORED_AT_MS - skewMs) });
    t.equal(message?.body?.refusal, refusal, `${skewMs} ms`);
    if (refusal !== undefined) t.match(message, { id: '', increments: 0, total: 0 });
  }
  t.end();
});

void t.test('a message of a newer version is held while there is room to park it', (t) => {
  const body = `{"version":2,"id":"${mintId(STORED_AT_MS)}","anything":true}`;
  t.ok(accept({ body }).message?.body?.newer);
  const full = accept({ body }, { isParkingFull: () => true });
  t.equal(full.isHeld, false);
  t.equal(full.batch.messages.size, 0);
  t.ok(accept({}, { isParkingFull: () => true }).isHeld, 'others are held all the same');
  t.end();
});

void t.test("ages go by the broker's clock, and are never negative", (t) => {
  const ageOf = (brokerMs: number) => {
    const { message } = accept({}, { brokerTimeMs: () => brokerMs });
    return Math.round(message!.ackWaitFrom - message!.enteredAt);
  };
  t.equal(ageOf(STORED_AT_MS + 700), 700);
  t.equal(ageOf(STORED_AT_MS - 700), 0);
  t.end();
});
