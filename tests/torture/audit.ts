import { sql, type Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';

/**
 * Double entry, in one snapshot: what messages added is what counters hold or was cleared, and the settled
 * sequences have no hole. @returns what is wrong, in words.
 */
export async function auditBooks(database: Kysely<Database>): Promise<string[]> {
  const { rows } = await sql<{
    in_ledger: string;
    in_counters: string;
    holes: string;
    without_stream: string;
  }>`
    select
      (select coalesce(sum(total), 0) from ledger)
        + (select coalesce(sum(carried_total), 0) from streams) as in_ledger,
      (select coalesce(sum(value), 0) from increments)
        + (select coalesce(sum(value), 0) from cleared_counters) as in_counters,
      (select coalesce(sum(last - pruned_through - kept), 0) from (
        select pruned_through, count(sequence) as kept, coalesce(max(sequence), pruned_through) as last
        from streams left join ledger
          on ledger.incarnation = streams.incarnation and sequence > pruned_through
        group by streams.incarnation, pruned_through
      ) as runs) as holes,
      (select count(*) from ledger
        where incarnation not in (select incarnation from streams)) as without_stream
  `.execute(database);
  const [books] = rows;
  if (books === undefined) return ['the audit has no answer'];
  const problems: string[] = [];
  if (books.in_ledger !== books.in_counters) {
    problems.push(
      `unbalanced: messages added ${books.in_ledger}, counters hold ${books.in_counters}`,
    );
  }
  if (books.holes !== '0') problems.push(`settled sequences have ${books.holes} hole(s)`);
  if (books.without_stream !== '0') {
    problems.push(`${books.without_stream} ledger row(s) belong to no stream`);
  }
  return problems;
}
