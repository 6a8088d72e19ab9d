import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { readText, ROOT } from './pages.ts';

/** Compares what the code makes with what stands between its markers in a page, or writes it there. */
export function comparePart(t: Test, path: string, name: string, made: string): void {
  const text = readText(path);
  const between = new RegExp(`(<!-- ${name}: [^\\n]* -->\\n\\n)([^]*?)(\\n*<!-- end -->)`);
  const found = between.exec(text);
  if (process.env['UPDATE_DOCS'] === '1') {
    const updated = text.replace(
      between,
      (_all, start: string) => `${start}${made}\n\n<!-- end -->`,
    );
    writeFileSync(join(ROOT, path), updated);
  } else t.equal(found?.[2]?.trim(), made, `${path}: ${name}`);
}
