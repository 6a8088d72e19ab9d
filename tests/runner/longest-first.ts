/**
 * What takes longest, so that nothing long is left when all else is done. Their order matters little,
 * and neither does a file that is missing here.
 */
const LONGEST = ['tests/torture/torture.test.ts'];

export function longestFirst(files: string[]): string[] {
  const rank = (file: string) => {
    const place = LONGEST.indexOf(file);
    return place < 0 ? LONGEST.length : place;
  };
  return [...new Set(files)].toSorted((left, right) => rank(left) - rank(right));
}
