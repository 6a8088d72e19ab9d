import type { Exact } from '../../schema/int64.ts';

/** Rows in one statement; limits its parameters, its time and its memory. */
export const STATEMENT_ROWS_MAX = 10_000;

/** Splits rows into parts for one statement each. */
export function* chunks<Row>(rows: Row[]): Generator<Row[]> {
  for (let start = 0; start < rows.length; start += STATEMENT_ROWS_MAX) {
    yield rows.slice(start, start + STATEMENT_ROWS_MAX);
  }
}

/** All UUIDs in order, each part sorted only when it is needed. */
export function* sortedChunks(uuids: Iterable<string>): Generator<string[]> {
  const parts = Array.from({ length: 256 }, (): string[] => []);
  for (const uuid of uuids) parts[Number.parseInt(uuid.slice(0, 2), 16)]?.push(uuid);
  let chunk: string[] = [];
  for (const part of parts) {
    // Keys made from the time share their first digits, so one part may hold all of them.
    chunk = chunk.concat(part.toSorted());
    for (; chunk.length >= STATEMENT_ROWS_MAX; chunk = chunk.slice(STATEMENT_ROWS_MAX)) {
      yield chunk.slice(0, STATEMENT_ROWS_MAX);
    }
  }
  if (chunk.length > 0) yield chunk;
}

/**
 * Runs one statement after the other, and prepares the next one while the database runs the current one.
 *
 * @returns the rows of all.
 */
export async function executeEach<Part, Row>(
  parts: Iterable<Part>,
  prepare: (part: Part) => { execute: () => Promise<Row[]> },
): Promise<Row[]> {
  const results: Row[][] = [];
  let running: Promise<Row[]> | undefined;
  for (const part of parts) {
    const statement = prepare(part);
    if (running !== undefined) results.push(await running);
    running = statement.execute();
  }
  if (running !== undefined) results.push(await running);
  return results.flat();
}

/** Of the type uuid in PostgreSQL. */
const UUID_OID = 2950;
const UUID_BYTES = 16;

/**
 * An array of the type uuid[] in PostgreSQL's binary format, from digests of which the first half is the UUID.
 * To read it costs the server a fraction of what text does.
 *
 * @param read returns 32 hexadecimal digits or more.
 */
export function uuidArray<Row>(rows: Row[], read: (row: Row) => string): Buffer {
  const header = [1, 0, UUID_OID, rows.length, 1];
  const buffer = Buffer.alloc(4 * header.length + rows.length * (4 + UUID_BYTES));
  let end = 0;
  for (const word of header) end = buffer.writeInt32BE(word, end);
  for (const row of rows) {
    end = buffer.writeInt32BE(UUID_BYTES, end);
    end += buffer.write(read(row), end, UUID_BYTES, 'hex');
  }
  return buffer;
}

/**
 * A PostgreSQL array literal. The elements are made here (UUIDs, numbers, ISO times), so none needs quotes;
 * the driver would search and quote each one.
 */
export function array<Row>(rows: Row[], read: (row: Row) => string | Exact): string {
  return `{${rows.map(read).join(',')}}`;
}
