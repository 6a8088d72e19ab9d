/*
 * How many increments a batch has, from one look at its characters. A mebibyte can hold half a million lines
 * or a single number of a million digits, and parsing those would hold up every other request for seconds. So what
 * cannot be a batch is refused before it is parsed.
 */
import { BATCH_INCREMENTS_MAX } from '../../schema/message/envelope.ts';
import { ProblemError } from '../errors/problem-details.ts';

/** What is parsed all the same, so that the answer can point at each fault of a small batch. */
const STRAY_MAX = 200;
/** An int64 has 19 digits. */
const DIGITS_MAX = 400;
/** Lines of a batch, empty ones among them. */
const LINES_MAX = 2 * BATCH_INCREMENTS_MAX;

/**
 * Counts the objects of a JSON array. Each increment has two fields, so it has two colons and at most two
 * commas; what has many more is no list of increments.
 *
 * @throws ProblemError 400 if it has too many increments, or can not be a list of them.
 */
export function measureJsonBatch(text: string): number {
  let objects = 0;
  let arrays = 0;
  let colons = 0;
  let commas = 0;
  let digits = 0;
  let digitsMax = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= DIGIT_0 && code <= DIGIT_9) {
      digitsMax = Math.max(digitsMax, ++digits);
      continue;
    }
    digits = 0;
    if (code === COMMA) commas++;
    else if (code === COLON) colons++;
    else if (code === BRACE) objects++;
    else if (code === BRACKET) arrays++;
  }
  if (objects > BATCH_INCREMENTS_MAX) throw tooMany(objects);
  const stray = Math.max(arrays, colons - 2 * objects, commas - 2 * objects);
  if (stray > STRAY_MAX || digitsMax > DIGITS_MAX) throw noList();
  return objects;
}

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACE = 0x7b;
const BRACKET = 0x5b;

/** Counts the lines that are not empty. @throws ProblemError 400 if there are too many. */
export function measureNdjsonBatch(text: string): number {
  let filled = 0;
  let lines = 0;
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    if (++lines > LINES_MAX) throw tooMany(lines);
    if (end > start) filled++;
    start = end + 1;
  }
  if (filled > BATCH_INCREMENTS_MAX) throw tooMany(filled);
  return filled;
}

function tooMany(found: number): ProblemError {
  const rule = `must have 1 to ${BATCH_INCREMENTS_MAX} increments, and has ${found} or more`;
  return new ProblemError('invalid-request', `Refused: the batch ${rule}.`, [
    { detail: rule, pointer: '' },
  ]);
}

function noList(): ProblemError {
  const rule = 'must be an array of objects with "key" and "value"';
  return new ProblemError('invalid-request', `Refused: the body ${rule}.`, [
    { detail: rule, pointer: '' },
  ]);
}
