import { execFileSync } from 'node:child_process';
import { createReadStream, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { makeKeys, readCounters, readTotal, untilTotal } from '../../support/counters.ts';
import { post } from '../../support/load.ts';
import { startServers } from '../../support/servers.ts';
import { startCounter, startGateway } from '../../support/services.ts';
import { commandsOn } from './run-command.ts';

const FAST = { FLUSH_INTERVAL_MS: '200' };
const LARGEST = '9223372036854775807';

void t.test('counters move to another mesh by export and import', async (t) => {
  const [former, next] = await Promise.all([
    startServers(t, { flushIntervalMs: 200 }),
    startServers(t, { flushIntervalMs: 200 }),
  ]);
  const gateway = await startGateway(t, former);
  const other = await startGateway(t, next);
  await startCounter(t, former, FAST);
  await startCounter(t, next, FAST);
  const keys = makeKeys(20);
  for (const key of keys) await post(gateway.url, { key, value: 5 });
  await post(gateway.url, `{"key":"${keys[0]}","value":${LARGEST}}`);
  const sum = BigInt(LARGEST) + 100n;
  await untilTotal(former.database, sum);
  const [exporting, importing] = [commandsOn(former), commandsOn(next)];

  const { code, output } = await exporting('export');
  t.equal(code, 0);
  const lines = output.trimEnd().split('\n');
  t.equal(lines.length, 21);
  t.match(JSON.parse(lines.at(-1)!), { counters: 20, complete_sequence: Number });
  const file = join(former.folder, 'counters.ndjson');
  t.match((await exporting(`export --json --out ${file}`)).answer(), { file, counters: 20 });
  const written = readFileSync(file, 'utf8');
  t.strictSame(written.split('\n').slice(0, 20), lines.slice(0, 20));
  t.match(await exporting('export --out /nowhere/file'), { code: 2, error: /can't be written/ });
  // As /dev/null, which root could replace.
  const pipe = join(former.folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const [{ code: toPipe }, read] = await Promise.all([
    exporting(`export --out ${pipe}`),
    text(createReadStream(pipe)),
  ]);
  t.equal(toPipe, 0);
  t.equal(read.split('\n').length, 22, 'what is no file is written into');
  t.ok(statSync(pipe).isFIFO(), 'and not replaced');

  const bad = join(next.folder, 'bad');
  const tryImport = (content: string) => {
    writeFileSync(bad, content);
    return importing(`import ${bad} --yes`);
  };
  const cutOff = await tryImport(`${lines.slice(0, 20).join('\n')}\n`);
  t.match(cutOff, { code: 1, error: /nothing was imported: the file was cut off after line 20/ });
  const broken = await tryImport(written.replace('"value":"5"', '"value":"five"'));
  t.match(broken, { code: 1, error: /line \d+ is not a counter/ });
  t.equal((await readCounters(next.database)).size, 0, 'nothing of a refused file is kept');
  t.match(await importing(`import ${file}`), { code: 2, error: /pass --yes/ });
  t.match(await importing(`import ${file}.gone --yes`), { code: 2, error: /can't be read/ });

  const imported = await importing(`import ${file} --yes --json`);
  t.strictSame(imported.answer(), { imported: true, counters: 20, sum: String(sum) });
  t.strictSame(await readCounters(next.database), await readCounters(former.database));
  t.match(await importing('audit'), { code: 0, output: /\nbalanced\n/ });
  t.match(await importing(`import ${file} --yes`), { code: 1, error: /has counted already/ });

  await post(other.url, { key: keys[0], value: 1 });
  await untilTotal(next.database, sum + 1n);
  t.match(await importing('audit'), { code: 0, output: /\nbalanced\n/ });
  t.equal((await importing('clear --yes')).code, 0);
  t.equal(await readTotal(next.database), '0');
  t.match(await importing('audit'), { code: 0 }, 'what was carried forward is cleared too');
});
