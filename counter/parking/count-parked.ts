import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { sql, type Kysely } from 'kysely';
import type { Database, ParkedMessagesTable } from '../../schema/database/tables.ts';
import { ENVELOPE_VERSION } from '../../schema/message/envelope.ts';
import type { Log } from '../../telemetry/log.ts';
import { acceptMessage } from '../consume/accept-message.ts';
import { createFlushBatch, type FlushBatch } from '../consume/flush-batch.ts';
import type { FlushResult } from '../flush/flush.ts';
import { flushWithRetries } from '../flush/flush-with-retries.ts';

/** Of one flush: a fraction of a second, so that counters are not locked for long. */
const MESSAGES_MAX = 2_000;
const BYTES_MAX = 4 * 1024 * 1024;
/** Leaves most of the database's time to what arrives. */
const SPACING_MS = 250;
/** What fails is tried again with the next round. */
const RETRY_MS = 5_000;

export interface CountParkedOptions {
  database: Kysely<Database>;
  /** No unsettled message was stored before this time (milliseconds since 1970). */
  readStreamTimeMs: () => Promise<number>;
  onCommitted: (result: FlushResult, durationMs: number) => void;
  isStopping: () => boolean;
  log: Log;
}

/**
 * Counts the parked messages that this version understands, the oldest version first, until none is left or
 * another counter service is at it.
 *
 * @throws FlushAborted if the database does not take them.
 */
export async function countParked(options: CountParkedOptions): Promise<void> {
  const { database, isStopping, log } = options;
  let counted = 0;
  while (!isStopping()) {
    const found = await readParked(database, options.readStreamTimeMs);
    if (found === undefined) break;
    const startedAt = performance.now();
    let unparked = 0;
    await flushWithRetries(found.batch, {
      database,
      // The stream of back then may be gone by now.
      readIncarnation: () => Promise.resolve(found.incarnation),
      onCommitted: (_batch, result) => {
        unparked += result.unparked;
        options.onCommitted(result, performance.now() - startedAt);
      },
      retryForMs: () => (isStopping() ? 0 : RETRY_MS),
      log,
    });
    if (unparked === 0) break;
    counted += unparked;
    await delay(SPACING_MS);
  }
  if (counted > 0) log.info({ messages: counted }, 'parked messages are not parked any more');
}

interface Found {
  incarnation: number;
  batch: FlushBatch;
}

/** The next messages of one incarnation. */
async function readParked(
  database: Kysely<Database>,
  readStreamTimeMs: () => Promise<number>,
): Promise<Found | undefined> {
  const { rows } = await sql<ParkedMessagesTable>`
    select * from (
      select *, sum(octet_length(payload)) over (order by version, incarnation, sequence) as through
      from (
        select * from parked_messages where version <= ${ENVELOPE_VERSION}
        order by version, incarnation, sequence limit ${MESSAGES_MAX}
      ) as next
    ) as next
    where through - octet_length(payload) < ${BYTES_MAX}
    order by version, incarnation, sequence`.execute(database);
  const [first] = rows;
  if (first === undefined) return undefined;
  const batch = createFlushBatch();
  const streamTimeMs = await readStreamTimeMs();
  for (const row of rows) if (row.incarnation === first.incarnation) add(batch, row, streamTimeMs);
  return { incarnation: Number(first.incarnation), batch };
}

function add(batch: FlushBatch, row: ParkedMessagesTable, streamTimeMs: number): void {
  const sequence = Number(row.sequence);
  const storedAtMs = row.stored_at.getTime();
  acceptMessage(
    batch,
    // As if delivered again: its body is kept until the ledger was queried.
    { ...row, data: row.payload, reply: '', sequence, deliveryCount: 2, storedAtMs },
    { reconnectedAtMs: 0, isBeingFlushed: () => false },
  );
  const message = batch.messages.get(sequence)!;
  message.unparkedAtMs = Math.max(storedAtMs, streamTimeMs);
  // Its copies were recognised by the id that was read when it was parked, and by no other.
  if (message.body !== undefined && message.id !== (row.id ?? '')) {
    message.body.refusal ??= 'wrong-shape';
    message.id = '';
  }
}
