import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { blockOf, readText, replaceBlock, ROOT } from './pages.ts';

/** Compares what the code makes with what stands between its markers in a page, or writes it there. */
export function comparePart(t: Test, path: string, name: string, made: string): void {
  const text = readText(path);
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(join(ROOT, path), replaceBlock(text, name, made));
  } else t.equal(blockOf(text, name), made, `${path}: ${name}`);
}
