import { Compile } from 'typebox/compile';
import { BATCH_INCREMENTS_MAX } from '../../schema/message/envelope.ts';
import { IncrementBody } from '../../schema/increment.ts';
import { parseExactJson } from '../../schema/int64.ts';
import { ProblemError } from '../errors/problem-details.ts';
import { describeFaults, type Fault } from '../errors/validation-faults.ts';

/** A client's batch, all of it valid. */
export interface Batch {
  increments: IncrementBody[];
  /** The increments as the client wrote them, joined by commas: what goes into the message. */
  text: string;
}

/** Faults that an answer lists; the rest are only counted. */
const LISTED_MAX = 100;

const increment = Compile(IncrementBody);

/** Reads a JSON array. @throws ProblemError 400 that lists each bad item by its JSON pointer. */
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
  items.forEach((item, index) => {
    if (!increment.Check(item)) faults.add(item, `/${index}`);
  });
  faults.refuse(items.length);
  // The text is valid, so it goes into the message unchanged, with every digit.
  const inner = text.slice(text.indexOf('[') + 1, text.lastIndexOf(']'));
  return { increments: items as IncrementBody[], text: inner };
}

/** Reads one increment a line. @throws ProblemError 400 that lists each bad line, counted from 1. */
export function readNdjsonBatch(text: string): Batch {
  const increments: IncrementBody[] = [];
  const lines: string[] = [];
  const faults = createFaultList();
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const item = parseLine(line);
    if (increment.Check(item)) {
      increments.push(item);
      lines.push(line);
    } else faults.add(item, `line ${index + 1}`);
  });
  faults.refuse(lines.length);
  return { increments, text: lines.join(',') };
}

/** Marks a line that is not JSON; no schema accepts a symbol. */
const NOT_JSON = Symbol('not JSON');

function parseLine(line: string): unknown {
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
    if (listed.length >= LISTED_MAX) return;
    if (item === NOT_JSON) listed.push({ detail: 'is not JSON', pointer });
    else listed.push(...describeFaults(increment.Errors(item), pointer));
  }

  /** @throws ProblemError if there were faults, no increments or too many of them. */
  function refuse(increments: number): void {
    if (found > 0) {
      const rest = listed.length < found ? `, of which ${LISTED_MAX} faults are listed` : '';
      throw new ProblemError(
        'invalid-request',
        `Refused: ${found} of the increments cannot be counted${rest}. Nothing was stored.`,
        listed.slice(0, LISTED_MAX),
      );
    }
    if (increments >= 1 && increments <= BATCH_INCREMENTS_MAX) return;
    const rule = `must have 1 to ${BATCH_INCREMENTS_MAX} increments, and has ${increments}`;
    throw new ProblemError('invalid-request', `Refused: the batch ${rule}.`, [
      { detail: rule, pointer: '' },
    ]);
  }

  return { add, refuse };
}
