import { ProblemError } from '../errors/problem-details.ts';

/**
 * Reads that may wait for PostgreSQL or run there: about a second of them. Clients may pipeline, so the
 * number of connections does not limit this.
 */
const READS_MAX = 1_000;

/** All reads of a gateway from PostgreSQL for its clients. */
export interface DatabaseReads {
  /**
   * @throws ProblemError 503 if PostgreSQL does not answer, with the cause in the log, or if too many reads
   * wait.
   */
  read: <Row>(query: () => Promise<Row>) => Promise<Row>;
  /** Resolves when all current reads have ended. */
  drain: () => Promise<unknown>;
}

export function createDatabaseReads(warnOfDatabase: (error: unknown) => void): DatabaseReads {
  const pending = new Set<Promise<unknown>>();

  async function read<Row>(query: () => Promise<Row>): Promise<Row> {
    if (pending.size >= READS_MAX) {
      const detail = `${READS_MAX} reads already wait for PostgreSQL; retry later.`;
      throw new ProblemError('too-many-waiting', detail);
    }
    const result = query();
    pending.add(result);
    try {
      return await result;
    } catch (error) {
      warnOfDatabase(error);
      const detail = 'PostgreSQL cannot be read now; increments are still accepted.';
      throw new ProblemError('database-away', detail);
    } finally {
      pending.delete(result);
    }
  }

  return { read, drain: () => Promise.allSettled(pending) };
}
