import { stripVTControlCharacters, styleText } from 'node:util';

/** Columns side by side, as wide as needed. */
export function formatTable(rows: string[][], header?: string[]): string {
  const all = header === undefined ? rows : [header.map((title) => dim(title)), ...rows];
  const widths = (all[0] ?? []).map((_, column) =>
    all.reduce((widest, row) => Math.max(widest, width(row[column] ?? '')), 0),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - width(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function width(cell: string): number {
  return stripVTControlCharacters(cell).length;
}

function dim(text: string): string {
  return styleText('dim', text);
}
