/**
 * The order in which contenders run in a round, the first of which is 1: there and back, then from
 * the second one, there and back. So none is always the first, or always after the same other.
 */
export function orderOfRound<Item>(items: Item[], round: number): Item[] {
  const start = Math.floor((round - 1) / 2) % items.length;
  const order = [...items.slice(start), ...items.slice(0, start)];
  return round % 2 === 1 ? order : order.toReversed();
}
