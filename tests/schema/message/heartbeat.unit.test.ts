import t from 'tap';
import { Value } from 'typebox/value';
import { CounterActivity } from '../../../schema/message/heartbeat.ts';

/** As readDatabaseId() makes it: the longest number of a system, of a database, and name of a schema. */
const LONGEST_ID = `${2n ** 64n - 1n}-${2 ** 32 - 1}-${'s'.repeat(63)}`;

void t.test('a risk names the database, however long the name of its schema is', (t) => {
  const activity = {
    database_connected: true,
    flushes: [],
    dead_letters: {},
    latest_dead_letters: [],
    growing_keys: [],
    risk: { text: 'the stream went back in time', database: LONGEST_ID },
  };
  t.ok(Value.Check(CounterActivity, activity));
  t.end();
});
