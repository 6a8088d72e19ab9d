import { ProblemError } from '../errors/problem-details.ts';

/**
 * Reads that may wait for PostgreSQL or be under way there, a second's worth. Clients may pipeline, so
 * the number of connections is no bound for it.
 */
const READS_MAX = 1_000;

/** All that a gateway reads from PostgreSQL for its clients. */
export interface DatabaseReads {
  /** @throws ProblemError 503 where PostgreSQL does not answer, for which a log line says why, or too much waits. */
  read: <Row>(query: () => Promise<Row>) => Promise<Row>;
  /** Resolves when what is under way now has ended. */
  settle: () => Promise<unknown>;
}

export function createDatabaseReads(warnOfDatabase: (error: unknown) => void): DatabaseReads {
  const underWay = new Set<Promise<unknown>>();

  async function read<Row>(query: () => Promise<Row>): Promise<Row> {
    if (underWay.size >= READS_MAX) {
      const detail = `${READS_MAX} reads wait for PostgreSQL already; retry later.`;
      throw new ProblemError('too-many-waiting', detail);
    }
    const result = query();
    underWay.add(result);
    try {
      return await result;
    } catch (error) {
      warnOfDatabase(error);
      const detail = 'PostgreSQL can not be read now; increments are accepted all the same.';
      throw new ProblemError('database-away', detail);
    } finally {
      underWay.delete(result);
    }
  }

  return { read, settle: () => Promise.allSettled(underWay) };
}
