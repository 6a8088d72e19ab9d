import t from 'tap';
import { checkCells, upgraded } from './cells.ts';

void t.test("a mesh counts on other people's servers", (t) =>
  // Each kind at least once; all pairs are in tests/long/matrix.long.ts.
  checkCells(t, [
    upgraded('14'),
    { version: '14', database: 'dba', nats: 'credentials' },
    { version: '18', database: 'pooler', nats: 'credentials' },
  ]),
);
