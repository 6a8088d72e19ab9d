import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { Kysely } from 'kysely';
import { LEDGER_KEPT_MS, type Database, type NotCounted } from '../../schema/database/tables.ts';
import { mintedAt } from '../../schema/message/message-id.ts';
import { DEAD_LETTER_REASONS } from '../../schema/message/envelope.ts';
import { MessageParams, MessageStatus, type Outcome } from '../../schema/http/accepted.ts';
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

/** `GET /increments/{id}`: what became of the message of an accepted increment. */
export const messageRoutes: FastifyPluginCallbackTypebox<{
  database: Kysely<Database>;
  reads: DatabaseReads;
  brokerTimeMs: () => number;
}> = (app, { database, reads, brokerTimeMs }, done) => {
  const schema = {
    summary: 'What became of an accepted increment',
    description:
      'By the id in the answer to an increment: whether it is committed, and how many of its increments were counted. Known for an hour.',
    tags: ['Increments'],
    operationId: 'readMessageStatus',
    params: MessageParams,
    response: { 200: MessageStatus },
  };
  const config = { scope: 'read' as const, problems: MESSAGE_PROBLEMS };
  app.get('/increments/:id', { schema, config }, async (request) => {
    const id = request.params.id.toLowerCase();
    const { isParked, ...row } = await reads.read(() => readMessage(database, id));
    if (row.sequence !== null && row.storedAt !== null && !isParked) {
      return {
        id,
        committed: true,
        parked: false,
        sequence: Number(row.sequence),
        stored_at: row.storedAt.toISOString(),
        increments: describeOutcome(row.increments ?? 0, row.notCounted),
      };
    }
    if (!isParked && brokerTimeMs() - mintedAt(id) > LEDGER_KEPT_MS - CLOCK_MARGIN_MS) {
      const detail =
        'The ledger keeps a message for an hour; this one is older and may have been committed.';
      throw new ProblemError('no-longer-known', detail);
    }
    const parked = isParked === true;
    return { id, committed: false, parked, sequence: null, stored_at: null, increments: null };
  });
  done();
};

/**
 * @param counted how many of a message's increments were added.
 * @param notCounted the others.
 */
export function describeOutcome(counted: number, notCounted: NotCounted | null): Outcome {
  const { repeated = 0, ...dead } = notCounted ?? {};
  const dead_letters = DEAD_LETTER_REASONS.flatMap((reason) => {
    const count = dead[reason];
    return count === undefined ? [] : [{ reason, count }];
  });
  return { counted, repeated, dead_letters };
}

/** One statement, since a message may be taken out of the parked ones and be counted meanwhile. */
export function readMessage(database: Kysely<Database>, id: string) {
  const inLedger = database.selectFrom('ledger').where('id', '=', id);
  const parked = database.selectFrom('parked_messages').where('id', '=', id);
  return database
    .selectNoFrom((eb) => [
      inLedger.select('sequence').as('sequence'),
      inLedger.select('stored_at').as('storedAt'),
      inLedger.select('increments').as('increments'),
      inLedger.select('not_counted').as('notCounted'),
      // A parked message has a row of the ledger too, though nothing of it is counted.
      eb.exists(parked.select('id')).as('isParked'),
    ])
    .executeTakeFirstOrThrow();
}
