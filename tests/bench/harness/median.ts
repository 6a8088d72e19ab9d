export interface Spread {
  median: number;
  least: number;
  most: number;
}

/** The median says what is usual, least and most how far a single run may be from it. */
export function spreadOf(values: number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = (sorted.length - 1) / 2;
  const lower = sorted[Math.floor(middle)] ?? Number.NaN;
  const upper = sorted[Math.ceil(middle)] ?? Number.NaN;
  return {
    median: (lower + upper) / 2,
    least: sorted[0] ?? Number.NaN,
    most: sorted.at(-1) ?? Number.NaN,
  };
}

export function medianOf(values: number[]): number {
  return spreadOf(values).median;
}
