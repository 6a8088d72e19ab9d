import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readCounterFile, readLines, type FiledCounter } from '../../../mesh/cli/counter-file.ts';

const LAST = '"complete_through":"2026-11-23T08:47:52.110Z","complete_sequence":14';
const key = (digit: number) => `${digit}6f1fe5b-6dc7-45cb-9837-9e84757f5246`;
const counter = (digit: number, value = '5') =>
  `{"key":"${key(digit)}","value":"${value}","updated_at":"2026-11-23T08:47:44.642Z"}`;

async function read(t: Test, text: string, rowsMax = 2) {
  const file = join(t.testdir({}), 'counters');
  writeFileSync(file, text);
  const parts: FiledCounter[][] = [];
  const take = async (part: FiledCounter[]) => void parts.push(part);
  const last = await readCounterFile(readLines(file), { rowsMax, take });
  return { last, parts: parts.map((part) => part.map((each) => each.key)) };
}

void t.test('a file of counters is read in parts', async (t) => {
  const lines = [counter(1), counter(2), counter(3, '9'.repeat(38)), `{${LAST},"counters":3}`];
  const whole = {
    last: { complete_through: '2026-11-23T08:47:52.110Z', complete_sequence: 14, counters: 3 },
    parts: [[key(1), key(2)], [key(3)]],
  };
  t.strictSame(await read(t, `${lines.join('\n')}\n`), whole);
  t.strictSame(await read(t, lines.join('\r\n')), whole);
  const empty = '{"complete_through":null,"complete_sequence":null,"counters":0}\n';
  t.match(await read(t, empty), { last: { counters: 0 }, parts: [] });
});

void t.test('a file that is not whole, or a line that is not a counter, is refused', async (t) => {
  const end = (count: number) => `{${LAST},"counters":${count}}`;
  for (const [lines, message] of [
    [[], /cut off after line 0/],
    [[counter(1), counter(2)], /cut off after line 2.*Export again/],
    [[counter(1), counter(2).slice(0, 50)], /line 2 is not a counter/],
    [[counter(1), end(2)], /line 2 says that 2 counters are before it, and 1 are/],
    [[counter(1), end(1), counter(2)], /line 3 comes after the one that ends the file/],
    [[counter(2), counter(1), end(2)], /line 2 has the key 16f1.*does not come after/],
    [[counter(1), counter(1), end(2)], /line 2 has the key/],
    [[counter(1, '-5'), end(1)], /line 1 is not/],
    [[counter(1, '1e3'), end(1)], /line 1 is not/],
    [[counter(1, '9'.repeat(39)), end(1)], /line 1 is not/],
    [[counter(1).replace('"5"', '5'), end(1)], /line 1 is not/],
    [[counter(1).replace('2026-11', '2026-13'), end(1)], /line 1 is not/],
    [[counter(1).replace('}', ',"more":1}'), end(1)], /line 1 is not/],
    [['x'.repeat(200_000)], /line 1 is not/],
    [['[]', end(1)], /line 1 is not/],
    [[counter(1), '', end(1)], /line 2 is not/],
  ] satisfies [string[], RegExp][])
    await t.rejects(read(t, lines.join('\n')), { name: 'Refusal', message });
});
