import { ProblemError } from './problem-details.ts';

/** @throws ProblemError 503 where PostgreSQL does not answer; its log line says why. */
export async function readDatabase<Row>(
  query: Promise<Row>,
  warnOfDatabase: (error: unknown) => void,
): Promise<Row> {
  try {
    return await query;
  } catch (error) {
    warnOfDatabase(error);
    const detail = 'PostgreSQL can not be read now; increments are accepted all the same.';
    throw new ProblemError('database-away', detail);
  }
}
