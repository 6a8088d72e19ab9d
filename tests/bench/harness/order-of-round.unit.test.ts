import t from 'tap';
import { orderOfRound } from './order-of-round.ts';

void t.test('no contender is always first, or always after the same other', (t) => {
  const names = ['a', 'b', 'c'];
  const orders = [1, 2, 3, 4, 5, 6, 7].map((round) => orderOfRound(names, round).join(''));
  t.strictSame(orders, ['abc', 'cba', 'bca', 'acb', 'cab', 'bac', 'abc']);
  t.strictSame(names, ['a', 'b', 'c']);
  t.strictSame(orderOfRound([], 1), []);
  t.end();
});

void t.test('of two, each is first and second equally often in four rounds', (t) => {
  const orders = [1, 2, 3, 4].map((round) => orderOfRound(['a', 'b'], round).join(''));
  t.strictSame(orders, ['ab', 'ba', 'ba', 'ab']);
  t.end();
});
