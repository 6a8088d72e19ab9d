import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import type { StreamReading } from './stream-state.ts';

/** Less than the clocks' unit is lost where times are rounded to it. */
const ROUNDED_MS = 1;
/**
 * When a stream is made again, counter services may hold messages of the former one for so long; it is longer
 * than any ack_wait and flush.
 */
const FORMER_HELD_MS = 60_000;

/**
 * Records, for who reads counters, how complete they are: through which time of the broker and through which
 * sequence every stored increment is in them. Both follow from the settled floor and never go back. One
 * statement, so one snapshot: what it finds settled is in every later one.
 *
 * - Where everything that the stream had is settled, that holds for the time of the reading.
 * - Otherwise for the time at which the floor's message was stored: what is above it was stored later.
 * - Parked messages are settled but not counted, so it ends before the oldest of them.
 *
 * @param floor the end of the settled run, read before.
 */
export async function recordComplete(
  db: Kysely<Database>,
  { incarnation, lastSequence, completeMs, brokerMs }: StreamReading,
  floor: number,
): Promise<void> {
  const isAllSettled = floor >= lastSequence;
  const readAt = isAllSettled && completeMs !== undefined ? asTime(completeMs) : null;
  const rounded = sql.lit(`${ROUNDED_MS} ms`);
  await sql`
    with settled as (
      select greatest(${readAt}::timestamptz,
          (select stored_at - interval ${rounded} from ledger
            where incarnation = ${incarnation} and sequence = ${floor})) as through),
    parked as (
      select min(stored_at) - interval ${rounded} as before,
        (select min(sequence) - 1 from parked_messages where incarnation = ${incarnation}) as last
      from parked_messages)
    update streams set
      complete_through = case when through is null then complete_through
        else greatest(complete_through, least(through, before)) end,
      complete_sequence = greatest(complete_sequence, least(${floor}::bigint, parked.last))
    from settled, parked
    where streams.incarnation = ${incarnation}
      and (${brokerMs - incarnation > FORMER_HELD_MS} or not exists (
        select from streams as former
        where former.incarnation <> ${incarnation} and former.complete_through is not null))`.execute(
    db,
  );
}

function asTime(ms: number): string {
  return new Date(ms).toISOString();
}
