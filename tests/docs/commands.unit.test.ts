import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import { parse } from 'yaml';
import { runCommandLine } from '../../mesh/cli/run-command-line.ts';
import { codeOf, readPages, readText, ROOT } from './pages.ts';

/** Each line of code of each page, with the page. */
const lines = readPages().flatMap(({ path, text }) => codeOf(text).map((line) => ({ path, line })));

void t.test('every npm script that a page names is there', (t) => {
  const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
  for (const { path, line } of lines) {
    const named = line.matchAll(/\bnpm (?:run (?:--silent )?([a-z][a-z:]*)|(start|test)\b)/g);
    for (const [, script, short = ''] of named) {
      t.ok((script ?? short) in scripts, `${path}: npm run ${script ?? short}`);
    }
  }
  t.end();
});

void t.test('every command of npm run mesh that a page names is there', async (t) => {
  for (const { path, line } of lines) {
    const [, words = ''] = /\bmesh -- ((?:[a-z][a-z-]*(?: |$))+)/.exec(line) ?? [];
    const command = words.trim();
    if (command === '' || command === 'help') continue;
    t.ok(await isCommand(command.split(' ')), `${path}: mesh -- ${command}`);
  }
});

void t.test('every file that a command names is there', (t) => {
  for (const { path, line } of lines) {
    // What was there before is named where it is said what takes its place.
    if (path === 'CHANGELOG.md') continue;
    for (const [, file = ''] of line.matchAll(/(?<=^|[\s/])((?:[\w-]+\/)+[\w.-]+\.[jt]s)\b/g)) {
      t.ok(existsSync(join(ROOT, file)), `${path}: ${file}`);
    }
  }
  t.end();
});

void t.test('every container that a page names is a service of compose.yaml', (t) => {
  const compose = parse(readText('compose.yaml'), { merge: true }) as { services: object };
  const services = Object.keys(compose.services);
  const command =
    /docker compose (?:ps|logs|restart|stop|start|exec -T|run --rm) ([a-z][\w-]*(?: nats-\d)*)/g;
  for (const { path, line } of lines) {
    for (const [, names = ''] of line.matchAll(command)) {
      for (const name of names.split(' ')) t.ok(services.includes(name), `${path}: ${name}`);
    }
  }
  t.end();
});

/** A command, or the first word of several. */
async function isCommand(words: string[]): Promise<boolean> {
  let said = '';
  const say = (text: string) => void (said += text);
  await runCommandLine(['help', ...words], {
    environment: {},
    write: say,
    writeError: say,
    drained: () => Promise.resolve(),
    readInput: () => Promise.resolve(''),
    input: () => Readable.from([]),
  });
  return !said.includes('there is no command');
}
