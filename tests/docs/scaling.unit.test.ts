import t from 'tap';
import { makeTables } from '../bench/scaling/page.ts';
import { comparePart } from './compare-part.ts';

/** They are made again after a measurement: `UPDATE_DOCS=1 npm test -- tests/docs/scaling.unit.test.ts`. */
void t.test('the tables of docs/scaling.md are those of the model and the simulation', (t) => {
  for (const [name, table] of Object.entries(makeTables())) {
    comparePart(t, 'docs/scaling.md', name, table);
  }
  t.end();
});
