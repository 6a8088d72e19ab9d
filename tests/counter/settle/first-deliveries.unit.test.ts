import t from 'tap';
import { createFirstDeliveries } from '../../../counter/settle/first-deliveries.ts';

void t.test('the lowest of the recent first deliveries is known to a tenth of a second', (t) => {
  const deliveries = createFirstDeliveries(1_000);
  t.equal(deliveries.lowestRecent(0), undefined);
  deliveries.record(5, 0);
  deliveries.record(6, 99);
  deliveries.record(7, 100);
  deliveries.record(8, 950);
  t.equal(deliveries.lowestRecent(999), 5);
  t.equal(deliveries.lowestRecent(1_000), 7);
  t.equal(deliveries.lowestRecent(1_100), 8);
  t.equal(deliveries.lowestRecent(1_950), undefined);
  deliveries.record(9, 1_960);
  t.equal(deliveries.lowestRecent(1_960), 9);
  t.end();
});
