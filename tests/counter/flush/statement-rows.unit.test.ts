import t from 'tap';
import {
  sortedChunks,
  STATEMENT_ROWS_MAX,
  uuidArray,
} from '../../../counter/flush/statement-rows.ts';
import { makeKeys } from '../../support/counters.ts';

void t.test('statements get all their UUIDs, in order', (t) => {
  const uuids = makeKeys(2 * STATEMENT_ROWS_MAX + 5);
  const parts = [...sortedChunks(uuids)];
  t.strictSame(
    parts.map(({ length }) => length),
    [STATEMENT_ROWS_MAX, STATEMENT_ROWS_MAX, 5],
  );
  t.strictSame(parts.flat(), uuids.toSorted());
  t.end();
});

void t.test('a binary array is what PostgreSQL sends of a uuid[]', (t) => {
  const sent = uuidArray(['86f1fe5b6dc745cb98379e84757f5246'], (digits) => digits);
  // select encode(array_send(array['86f1fe5b-6dc7-45cb-9837-9e84757f5246']::uuid[]), 'hex')
  t.equal(
    sent.toString('hex'),
    '000000010000000000000b8600000001000000010000001086f1fe5b6dc745cb98379e84757f5246',
  );
  t.end();
});
