/** Numbers that the seed decides, so that a run can be asked for again. */
export interface Random {
  /** From 0 to below 1. */
  next: () => number;
  /** A whole number from `least` to `most`, both included. */
  between: (least: number, most: number) => number;
  chance: (probability: number) => boolean;
  pick: <Item>(items: readonly Item[]) => Item;
  shuffle: <Item>(items: readonly Item[]) => Item[];
  /** A UUID of version 4. */
  uuid: () => string;
  /**
   * A generator of its own. Whoever runs beside others takes one, so that the order in which they
   * get their turns changes nothing of what each of them does.
   */
  fork: () => Random;
}

/** Mulberry32: 32 bits of state, even enough for faults, and the same on every machine. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  function between(least: number, most: number): number {
    return least + Math.floor(next() * (most - least + 1));
  }

  function pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new RangeError('there is nothing to pick from');
    return items[between(0, items.length - 1)] as Item;
  }

  function shuffle<Item>(items: readonly Item[]): Item[] {
    const rest = [...items];
    const shuffled: Item[] = [];
    while (rest.length > 0) shuffled.push(...rest.splice(between(0, rest.length - 1), 1));
    return shuffled;
  }

  function uuid(): string {
    const digits = Array.from({ length: 32 }, () => between(0, 15).toString(16));
    digits[12] = '4';
    digits[16] = pick(['8', '9', 'a', 'b']);
    return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick,
    shuffle,
    uuid,
    fork: () => createRandom(between(0, 2 ** 32 - 1)),
  };
}
