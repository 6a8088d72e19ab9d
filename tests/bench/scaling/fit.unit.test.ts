import t from 'tap';
import { fitPrices, type Sample } from './fit.ts';

function samplesOf(prices: number[], all: number[][]): Sample[] {
  return all.map((units) => ({
    units,
    cost: units.reduce((sum, count, part) => sum + count * prices[part]!, 0),
  }));
}

void t.test('prices are found from what several meshes cost', (t) => {
  const prices = [20, 60, 3];
  const samples = samplesOf(prices, [
    [1_000, 30, 5],
    [900, 300, 5],
    [5_000, 100, 80],
  ]);
  for (const [part, price] of fitPrices(samples).entries()) {
    t.ok(Math.abs(price - prices[part]!) < 1e-6, `${price} is ${prices[part]}`);
  }
  t.end();
});

void t.test('a part that would cost less than nothing is left out', (t) => {
  const samples = samplesOf(
    [20, -1],
    [
      [1_000, 30],
      [900, 300],
    ],
  );
  const [first, second] = fitPrices(samples);
  t.ok(Math.abs(first! - 20) < 0.5);
  t.equal(second, 0);
  t.end();
});
