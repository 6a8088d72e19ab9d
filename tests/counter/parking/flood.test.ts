import t from 'tap';
import { checkFlood } from './flood.ts';

// A hundred thousand of them: tests/long.
void t.test('messages of a newer version keep nothing from being counted, and are seen', (t) =>
  checkFlood(t, 10_000),
);
