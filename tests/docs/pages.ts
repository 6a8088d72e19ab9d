import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Page {
  /** From the project's folder: `docs/runbook.md`. */
  path: string;
  text: string;
}

/** Every page that people read: those at the top of the project, all of docs/, and what the client's package shows. */
export function readPages(): Page[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return [...top, ...docs, join('client', 'README.md')].map((path) => ({
    path,
    text: readText(path),
  }));
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The text without code blocks, which may hold anything that looks like a heading or a link. */
export function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```$/gm, '');
}

/** What stands in code: the lines of blocks, and what is between backticks. */
export function codeOf(text: string): string[] {
  const blocks = [...text.matchAll(/^```\w*\n([^]*?)^```$/gm)].map(([, code = '']) => code);
  const inline = [...withoutCode(text).matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  // A command that goes on in the next line is one command.
  return [...blocks.map((code) => code.replaceAll(/\\\n\s*/g, '')), ...inline].flatMap((code) =>
    code.split('\n'),
  );
}

/** The text of each heading, as it is written. */
export function headingsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => heading);
}

/** The anchors that a page's headings have where it is shown, as GitHub makes them. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const heading of headingsOf(text)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    let anchor = slug;
    for (let number = 1; anchors.has(anchor); number++) anchor = `${slug}-${number}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What stands between `<!-- name: … -->` and `<!-- end -->`; undefined where there is no such block. */
export function blockOf(text: string, name: string): string | undefined {
  return between(name).exec(text)?.[2]?.trim();
}

/** The text with another content between these markers. @throws Error where there are none */
export function replaceBlock(text: string, name: string, content: string): string {
  if (!between(name).test(text)) throw new Error(`no block ${name}: put its markers into the page`);
  return text.replace(between(name), (_all, start: string) => `${start}${content}\n\n<!-- end -->`);
}

function between(name: string): RegExp {
  return new RegExp(`(<!-- ${name}: [^\\n]* -->\\n\\n)([^]*?)(\\n*<!-- end -->)`);
}
