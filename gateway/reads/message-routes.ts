import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { Kysely } from 'kysely';
import { LEDGER_KEPT_MS, type Database } from '../../schema/database/tables.ts';
import { mintedAt } from '../../schema/message/message-id.ts';
import { Committed, MessageParams } from '../../schema/http/accepted.ts';
import type { ProblemCode } from '../../schema/http/problem.ts';
import { ProblemError } from '../errors/problem-details.ts';
import type { DatabaseReads } from './database-reads.ts';

/** The clocks of brokers differ, and pruning goes by that of the broker that stored a message. */
const CLOCK_MARGIN_MS = 5 * 60_000;

const MESSAGE_PROBLEMS: ProblemCode[] = [
  'invalid-request',
  'no-longer-known',
  'too-many-waiting',
  'database-away',
];

/** `GET /increments/{id}`: whether the ledger has the message of an accepted increment. */
export const messageRoutes: FastifyPluginCallbackTypebox<{
  database: Kysely<Database>;
  reads: DatabaseReads;
  brokerTimeMs: () => number;
}> = (app, { database, reads, brokerTimeMs }, done) => {
  const schema = {
    summary: 'Whether an accepted increment is committed; known for an hour',
    operationId: 'readCommitted',
    params: MessageParams,
    response: { 200: Committed },
  };
  const config = { scope: 'read' as const, problems: MESSAGE_PROBLEMS };
  app.get('/increments/:id', { schema, config }, async (request) => {
    const { id } = request.params;
    const { sequence, storedAt, isParked } = await reads.read(() => readMessage(database, id));
    if (sequence !== null && storedAt !== null && !isParked) {
      const stored = { sequence: Number(sequence), stored_at: storedAt.toISOString() };
      return { id, committed: true, ...stored };
    }
    if (!isParked && brokerTimeMs() - mintedAt(id) > LEDGER_KEPT_MS - CLOCK_MARGIN_MS) {
      const detail =
        'The ledger keeps a message for an hour; this one is older and may have been committed.';
      throw new ProblemError('no-longer-known', detail);
    }
    return { id, committed: false, sequence: null, stored_at: null };
  });
  done();
};

/** One statement, since a message may be taken out of the parked ones and be counted meanwhile. */
export function readMessage(database: Kysely<Database>, id: string) {
  const inLedger = database.selectFrom('ledger').where('id', '=', id);
  const parked = database.selectFrom('parked_messages').where('id', '=', id);
  return database
    .selectNoFrom((eb) => [
      inLedger.select('sequence').as('sequence'),
      inLedger.select('stored_at').as('storedAt'),
      // A parked message has a row of the ledger too, though nothing of it is counted.
      eb.exists(parked.select('id')).as('isParked'),
    ])
    .executeTakeFirstOrThrow();
}
