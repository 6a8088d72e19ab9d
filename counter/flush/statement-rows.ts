import type { Exact } from '../../schema/int64.ts';

/** Rows in one statement; limits its parameters, its time and its memory. */
export const STATEMENT_ROWS_MAX = 10_000;

/** Splits rows into parts for one statement each. */
export function* chunks<Row>(rows: Row[]): Generator<Row[]> {
  for (let start = 0; start < rows.length; start += STATEMENT_ROWS_MAX) {
    yield rows.slice(start, start + STATEMENT_ROWS_MAX);
  }
}

/**
 * A PostgreSQL array literal. The elements are made here (UUIDs, numbers, ISO times), so none needs quotes;
 * the driver would search and quote each one.
 */
export function array<Row>(rows: Row[], read: (row: Row) => string | Exact): string {
  return `{${rows.map(read).join(',')}}`;
}
