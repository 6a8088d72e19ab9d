import { readFileSync } from 'node:fs';
import t from 'tap';
import { ROOT } from '../deploy/compose-file.ts';
import { runCommand } from './run-command.ts';

void t.test('version shows that of package.json, without a mesh', async (t) => {
  const manifest = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
  const mesh = (line: string) => runCommand(line, { DATA_DIR: t.testdir() });
  t.match(await mesh('version'), { code: 0, output: `${manifest.version}\n`, error: '' });
  t.strictSame((await mesh('version --json')).answer(), { version: manifest.version });
  t.match((await mesh('help')).output, /version +Shows the version/);
});
