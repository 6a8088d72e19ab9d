import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import type { Kysely } from 'kysely';
import type { Database } from '../../schema/database/tables.ts';
import { Cleared, CounterParams } from '../../schema/http/counter.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import type { ClearAnswer } from '../../schema/message/clear-request.ts';
import { logClear } from '../auth/audit-log.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { canonicalAddress } from '../limits/client-address.ts';
import { describeComplete } from '../reads/select-counters.ts';
import type { DatabaseReads } from '../reads/database-reads.ts';
import { selectCompleteness, type Completeness } from '../reads/select-counters.ts';
import type { ClearRequests } from './clear-requests.ts';

const CLEAR_PROBLEMS: ProblemCode[] = [
  'invalid-request',
  'no-such-counter',
  'too-many-waiting',
  'broker-unavailable',
  'database-away',
  'no-counter-service',
  'clear-outcome-unknown',
];

/** `DELETE /counters/{key}`: a counter service clears the counter, for whoever may operate the mesh. */
export const clearRoutes: FastifyPluginCallbackTypebox<{
  database: Kysely<Database>;
  reads: DatabaseReads;
  clears: ClearRequests;
  log: FastifyBaseLogger;
}> = (app, { database, reads, clears, log }, done) => {
  const schema = {
    summary: 'Clear a counter',
    description:
      'Removes the counter and answers what was there. An increment that is accepted and not counted at that ' +
      'moment is counted afterwards, from zero. A repeat takes what was counted since.',
    tags: ['Counters'],
    operationId: 'clearCounter',
    params: CounterParams,
    response: { 200: Cleared },
  };
  const config = { scope: 'operate' as const, problems: CLEAR_PROBLEMS };
  app.delete('/counters/:key', { schema, config }, async (request) => {
    const key = request.params.key.toLowerCase();
    const by = request.apiKey?.name ?? canonicalAddress(request.ip);
    // Read before the clear, which then takes at least what this says.
    const complete = await reads.read(() => selectCompleteness(database));
    const answer = await clears.send({ key, by, request_id: request.id });
    if (answer.outcome === 'cleared' || answer.outcome === 'unknown')
      logClear(log, { ...answer, key, by, requestId: request.id });
    if (answer.outcome !== 'cleared') throw describeFailure(answer.outcome, key, complete);
    const { value, cleared_at } = answer;
    return { key, value, cleared_at, ...describeComplete(complete) };
  });
  done();
};

const RETRY = 'Nothing was cleared; retry later.';

const FAILURES: Record<
  Exclude<ClearAnswer['outcome'], 'cleared' | 'not-counted'>,
  [ProblemCode, string]
> = {
  'too-many': ['too-many-waiting', `A counter service clears ten counters in a second. ${RETRY}`],
  late: ['too-many-waiting', `No counter service came to it in time. ${RETRY}`],
  locked: ['too-many-waiting', `Others are writing this counter. ${RETRY}`],
  'database-away': ['database-away', `The counter service cannot reach PostgreSQL. ${RETRY}`],
  refused: [
    'database-away',
    "The request was refused. Nothing was cleared; the counter service's log has the cause.",
  ],
  unknown: [
    'clear-outcome-unknown',
    'The counter service did not say in time whether it has cleared the counter. Read it, or clear it again: ' +
      '404 says that it is cleared. A repeat also clears what was counted since.',
  ],
};

function describeFailure(
  outcome: Exclude<ClearAnswer['outcome'], 'cleared'>,
  key: string,
  complete: Completeness,
): ProblemError {
  if (outcome === 'not-counted') {
    const detail = `${key} is not counted, so there is nothing to clear.`;
    return new ProblemError('no-such-counter', detail, undefined, describeComplete(complete));
  }
  return new ProblemError(...FAILURES[outcome]);
}
