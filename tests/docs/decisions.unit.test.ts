import t from 'tap';
import { headingsOf, readPages, readText } from './pages.ts';

const FOLDER = 'docs/decisions/';
const INDEX = `${FOLDER}README.md`;

const decisions = readPages().filter(({ path }) => path.startsWith(FOLDER) && path !== INDEX);

void t.test('every decision has its date, context, decision and consequences', (t) => {
  for (const { path, text } of decisions) {
    const [title = '', ...parts] = headingsOf(text);
    t.match(title, /^\d{4} · \S/, path);
    t.match(text, /^Date: \d{4}-\d{2}-\d{2}\b/m, path);
    t.strictSame(parts, ['Context', 'Decision', 'Consequences'], path);
  }
  t.end();
});

void t.test('the index lists every decision by its title and date', (t) => {
  const index = readText(INDEX);
  for (const { path, text } of decisions) {
    const name = path.slice(FOLDER.length);
    const [number = '', title = ''] = headingsOf(text)[0]?.split(' · ') ?? [];
    const [, date = ''] = /^Date: (\S{10})/m.exec(text) ?? [];
    t.ok(index.includes(`| [${number}](${name}) | ${date} | ${title}`), path);
  }
  t.end();
});
