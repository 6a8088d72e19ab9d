import type { FastifyReply } from 'fastify';
import t from 'tap';
import {
  createCompleteReads,
  type CompleteRequest,
} from '../../../gateway/reads/complete-reads.ts';
import { createCompleteWaits } from '../../../gateway/reads/complete-waits.ts';
import { createDatabaseReads } from '../../../gateway/reads/database-reads.ts';

void t.test('a read looks once more at the end of its wait', async (t) => {
  const startedAt = performance.now();
  // What the read asks for is there after six tenths of a second.
  const look = () =>
    Promise.resolve({ through: null, sequence: performance.now() - startedAt > 600 ? 7 : 6 });
  const { readRows } = createCompleteReads(
    createDatabaseReads(() => undefined),
    createCompleteWaits(look),
  );
  const ask = (at_least: string) => {
    const { signal } = new AbortController();
    const request: CompleteRequest = {
      query: { at_least },
      headers: { prefer: 'wait=1' },
      signal,
    };
    const reply = { header: () => reply } as unknown as FastifyReply;
    const query = async () => ({ complete: await look() });
    return readRows(1, query, { request, reply });
  };
  const [reached, missed] = await Promise.allSettled([ask('7'), ask('8')]);
  t.match(reached, { status: 'fulfilled', value: { complete: { sequence: 7 } } });
  t.match(missed, {
    status: 'rejected',
    reason: { code: 'not-yet-complete', members: { complete_sequence: 7 } },
  });
});
