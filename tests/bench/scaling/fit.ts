/** What something took that was made of several parts: `cost` of `units[i]` of each part. */
export interface Sample {
  units: number[];
  cost: number;
}

/**
 * The price of one unit of each part, by least squares of the relative errors. A part that comes out below
 * zero costs nothing: what is measured cannot tell it from the others.
 */
export function fitPrices(samples: Sample[]): number[] {
  const parts = samples[0]?.units.length ?? 0;
  const prices = Array<number>(parts).fill(0);
  let kept = Array.from({ length: parts }, (_, part) => part);
  while (kept.length > 0) {
    const solved = solve(
      kept.map((row) => kept.map((column) => sum(samples, row, column))),
      kept.map((row) => samples.reduce((total, { units, cost }) => total + units[row]! / cost, 0)),
    );
    const lowest = solved.indexOf(Math.min(...solved));
    if (solved[lowest]! >= 0) {
      kept.forEach((part, index) => (prices[part] = solved[index]!));
      break;
    }
    kept = kept.filter((_, index) => index !== lowest);
  }
  return prices;
}

function sum(samples: Sample[], row: number, column: number): number {
  return samples.reduce(
    (total, { units, cost }) => total + (units[row]! * units[column]!) / cost ** 2,
    0,
  );
}

/** Gauss' elimination; the matrix is symmetric and positive, so no row has to be exchanged. */
function solve(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, index) => [...row, right[index]!]);
  for (const [pivot, pivotRow] of rows.entries()) {
    for (const row of rows.slice(pivot + 1)) {
      const factor = row[pivot]! / pivotRow[pivot]!;
      for (let column = pivot; column < row.length; column++)
        row[column]! -= factor * pivotRow[column]!;
    }
  }
  const solution = right.map(() => 0);
  for (let row = rows.length - 1; row >= 0; row--) {
    const known = solution.reduce((total, value, column) => total + rows[row]![column]! * value, 0);
    solution[row] = (rows[row]!.at(-1)! - known) / rows[row]![row]!;
  }
  return solution;
}
