import { createReadStream } from 'node:fs';
import type { LastLine } from '../../schema/http/counter.ts';
import { isKey } from '../../schema/increment.ts';
import { Refusal } from './errors.ts';

/** A line has some 120 characters. */
const LINE_LENGTH_MAX = 1_000;

/** A counter of an exported file. */
export interface FiledCounter {
  /** In lower case. */
  key: string;
  /** Up to 38 digits, as many as the column has. */
  value: string;
  /** RFC 3339. */
  updatedAt: string;
}

const VALUE = /^\d{1,38}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

/** Lines without their ends; one that is too long to be a counter is the last. */
export async function* readLines(path: string): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = `${rest}${String(chunk)}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
    if (rest.length > LINE_LENGTH_MAX) break;
  }
  if (rest !== '') yield rest;
}

/**
 * Reads an exported file, checks each line and hands on the counters in parts.
 *
 * @param take gets up to so many counters, and is awaited before more is read.
 * @throws Refusal for a line that is not a counter, with its number, and for a file that is not whole.
 */
export async function readCounterFile(
  lines: AsyncIterable<string>,
  { rowsMax, take }: { rowsMax: number; take: (counters: FiledCounter[]) => Promise<void> },
): Promise<LastLine> {
  let part: FiledCounter[] = [];
  let number = 0;
  let before = '';
  let last: LastLine | undefined;
  for await (const text of lines) {
    number += 1;
    const wrong = (what: string) => new Refusal(`nothing was imported: line ${number} ${what}`);
    if (last !== undefined) throw wrong('comes after the one that ends the file');
    const line = parseLine(text);
    if (line === undefined) {
      throw wrong('is not a counter such as {"key":"…","value":"5","updated_at":"…Z"}');
    }
    if ('counters' in line) {
      last = line;
      if (line.counters === number - 1) continue;
      throw wrong(`says that ${line.counters} counters are before it, and ${number - 1} are`);
    }
    if (line.key <= before) {
      throw wrong(`has the key ${line.key}, which does not come after that of the line before`);
    }
    before = line.key;
    part.push(line);
    if (part.length < rowsMax) continue;
    await take(part);
    part = [];
  }
  if (last === undefined) {
    throw new Refusal(
      `nothing was imported: the file was cut off after line ${number}, since its last line ` +
        '{"complete_through":…,"counters":…} is missing. Export again',
    );
  }
  if (part.length > 0) await take(part);
  return last;
}

/** Undefined if it is neither a counter nor the end of a file. */
function parseLine(text: string): FiledCounter | LastLine | undefined {
  const line = parseObject(text);
  if (line === undefined) return undefined;
  const { key, value, updated_at: updatedAt, ...others } = line;
  if (key === undefined) return Number.isSafeInteger(line['counters']) ? asLast(line) : undefined;
  if (!isKey(key) || Object.keys(others).length > 0) return undefined;
  if (typeof value !== 'string' || !VALUE.test(value)) return undefined;
  if (typeof updatedAt !== 'string' || !TIME.test(updatedAt)) return undefined;
  const time = new Date(updatedAt);
  if (Number.isNaN(time.getTime())) return undefined;
  return { key: key.toLowerCase(), value, updatedAt: time.toISOString() };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function asLast(line: Record<string, unknown>): LastLine {
  const { complete_through: through, complete_sequence: sequence, counters } = line;
  return {
    complete_through: typeof through === 'string' ? through : null,
    complete_sequence: typeof sequence === 'number' ? sequence : null,
    counters: counters as number,
  };
}
