import t from 'tap';
import { ALL_CELLS, checkCells } from '../mesh/database/cells.ts';

void t.test("a mesh counts on every pair of other people's servers", (t) =>
  checkCells(t, ALL_CELLS),
);
