import t from 'tap';
import { checkFlood } from '../counter/parking/flood.ts';

void t.test('a hundred thousand messages of a newer version keep nothing from being counted', (t) =>
  checkFlood(t, 100_000),
);
