import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';
import { anchorsOf, readPages, readText, ROOT, withoutCode } from './pages.ts';

const pages = readPages();

void t.test('every file and every section that a page links to is there', (t) => {
  for (const { path, text } of pages) {
    for (const link of linksOf(text)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#', 2);
      const target = file === '' ? path : normalize(join(dirname(path), file));
      const isThere = existsSync(join(ROOT, target));
      t.ok(isThere, `${path}: ${link}`);
      if (!isThere || anchor === undefined) continue;
      t.ok(anchorsOf(readText(target)).has(anchor), `${path}: ${link} is a section`);
    }
  }
  t.end();
});

void t.test('every page is linked from another', (t) => {
  const linked = new Set(
    pages.flatMap(({ path, text }) =>
      linksOf(text)
        .map((link) => normalize(join(dirname(path), link.split('#', 1)[0] ?? '')))
        .filter((target) => target !== path),
    ),
  );
  for (const { path } of pages) if (path !== 'README.md') t.ok(linked.has(path), path);
  t.end();
});

function linksOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
}
