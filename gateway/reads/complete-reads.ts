import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProblemError } from '../errors/problem-details.ts';
import { isReached, parseTarget, parseWaitSeconds } from './complete-target.ts';
import type { CompleteWaits } from './complete-waits.ts';
import type { DatabaseReads } from './database-reads.ts';
import { describeComplete, type Completeness } from './select-counters.ts';

/** Keys, and counters of lists, that statements under way ask for. */
const ROWS_MAX = 100_000;

/** What a request asks of the counters' completeness. */
export interface CompleteRequest {
  query: { at_least?: string };
  headers: FastifyRequest['headers'];
  signal: AbortSignal;
}

export interface CompleteReads {
  /**
   * Reads up to so many counters, and once more where the client waits for more to be in them.
   *
   * @throws ProblemError if they are not as complete as the request asks, or if there is no room for so many.
   */
  readRows: <Read extends { complete: Completeness }>(
    rows: number,
    query: () => Promise<Read>,
    exchange: { request: CompleteRequest; reply: FastifyReply },
  ) => Promise<Read>;
}

export function createCompleteReads(reads: DatabaseReads, waits: CompleteWaits): CompleteReads {
  let rowsUnderWay = 0;

  const readRows: CompleteReads['readRows'] = async (rows, query, { request, reply }) => {
    const read = () => readOnce(rows, query);
    // Asked for before anything is awaited: it tells only of a client that leaves from then on.
    const { signal } = request;
    const { at_least } = request.query;
    const target = at_least === undefined ? undefined : parseTarget(at_least);
    let found = await read();
    if (target !== undefined && !isReached(found.complete, target)) {
      const waitS = parseWaitSeconds(request.headers['prefer'] as string | undefined);
      if (waitS > 0) {
        void reply.header('preference-applied', `wait=${waitS}`);
        await waits.until(target, { timeoutMs: waitS * 1_000, signal });
        // Also where the time is over: the last look was up to a second ago.
        if (!signal.aborted) found = await read();
      }
      if (!isReached(found.complete, target)) throw notYetComplete(found.complete);
    }
    return found;
  };

  async function readOnce<Read>(rows: number, query: () => Promise<Read>): Promise<Read> {
    if (rowsUnderWay + rows > ROWS_MAX) {
      const detail = `Reads of ${rowsUnderWay} counters are already under way; retry later.`;
      throw new ProblemError('too-many-waiting', detail);
    }
    rowsUnderWay += rows;
    try {
      return await reads.read(query);
    } finally {
      rowsUnderWay -= rows;
    }
  }

  return { readRows };
}

function notYetComplete(complete: Completeness): ProblemError {
  const detail =
    'The counters are not that complete yet; `complete_through` and `complete_sequence` say how far they are. ' +
    'Ask again, or wait by `Prefer: wait=10`.';
  return new ProblemError('not-yet-complete', detail, undefined, describeComplete(complete));
}
