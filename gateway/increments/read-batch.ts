import { Compile } from 'typebox/compile';
import { BATCH_INCREMENTS_MAX, encodeIncrement } from '../../schema/message/envelope.ts';
import { IncrementBody, toIncrement, type Increment } from '../../schema/increment.ts';
import { parseExactJson } from '../../schema/int64.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { describeFaults, type Fault } from '../errors/validation-faults.ts';

/** A client's batch, all of it valid. */
export interface Batch {
  increments: Increment[];
  /** What goes into the message: the increments as the client wrote them, unless a value is a string. */
  text: string;
}

/** Faults that an answer lists; after these a batch is read no further. */
const LISTED_MAX = 100;
/** No increment is longer; a single one may have as much. */
const LINE_LENGTH_MAX = 4_096;

const increment = Compile(IncrementBody);

/**
 * Reads a JSON array that was measured before (measure-batch.ts).
 *
 * @throws ProblemError 400 that lists the first bad items by their JSON pointers.
 */
export function readJsonBatch(text: string): Batch {
  let items: unknown;
  try {
    items = parseExactJson(text);
  } catch (error) {
    throw new ProblemError('invalid-json', `The body is not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(items)) {
    const fault = { detail: 'must be an array of increments', pointer: '' };
    throw new ProblemError('invalid-request', 'Refused: the body must be an array.', [fault]);
  }
  const faults = createFaultList();
  for (const [index, item] of items.entries()) {
    if (!increment.Check(item)) faults.add(item, `/${index}`);
    if (faults.areMany()) break;
  }
  faults.refuse(items.length);
  // The text is valid, so it goes into the message unchanged, with every digit.
  const bodies = items as IncrementBody[];
  if (!bodies.some(hasString)) {
    const inner = text.slice(text.indexOf('[') + 1, text.lastIndexOf(']'));
    return { increments: bodies as Increment[], text: inner };
  }
  const increments = bodies.map(toIncrement);
  return { increments, text: increments.map(encodeIncrement).join(',') };
}

function hasString({ value }: IncrementBody): boolean {
  return typeof value === 'string';
}

/** Reads one increment a line. @throws ProblemError 400 that lists the first bad lines, counted from 1. */
export function readNdjsonBatch(text: string): Batch {
  const increments: Increment[] = [];
  const lines: string[] = [];
  const faults = createFaultList();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const item = parseLine(line);
    if (increment.Check(item)) {
      const read = toIncrement(item);
      increments.push(read);
      lines.push(hasString(item) ? encodeIncrement(read) : line);
    } else faults.add(item, `line ${index + 1}`);
    if (faults.areMany()) break;
  }
  faults.refuse(lines.length);
  return { increments, text: lines.join(',') };
}

/** Marks a line that is not JSON; no schema accepts a symbol. */
const NOT_JSON = Symbol('not JSON');

function parseLine(line: string): unknown {
  if (line.length > LINE_LENGTH_MAX) return NOT_JSON;
  try {
    return parseExactJson(line);
  } catch {
    return NOT_JSON;
  }
}

function createFaultList() {
  const listed: Fault[] = [];
  let found = 0;

  function add(item: unknown, pointer: string): void {
    found++;
    if (item === NOT_JSON) listed.push({ detail: 'is not JSON', pointer });
    else listed.push(...describeFaults(increment.Errors(item), pointer));
  }

  /** @throws ProblemError if there were faults, no increments or too many of them. */
  function refuse(increments: number): void {
    if (found > 0) {
      const many = areMany() ? ' or more' : '';
      throw new ProblemError(
        'invalid-request',
        `Refused: ${found}${many} of the increments cannot be counted. Nothing was stored.`,
        listed.slice(0, LISTED_MAX),
      );
    }
    if (increments >= 1 && increments <= BATCH_INCREMENTS_MAX) return;
    const rule = `must have 1 to ${BATCH_INCREMENTS_MAX} increments, and has ${increments}`;
    throw new ProblemError('invalid-request', `Refused: the batch ${rule}.`, [
      { detail: rule, pointer: '' },
    ]);
  }

  function areMany(): boolean {
    return listed.length >= LISTED_MAX;
  }

  return { add, areMany, refuse };
}
