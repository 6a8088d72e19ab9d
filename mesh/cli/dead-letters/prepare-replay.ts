import { KEY_RULE, readDigits, VALUE_RULE } from '../../../schema/increment.ts';
import { addExact, parseExactJson, stringifyExactJson, type Exact } from '../../../schema/int64.ts';
import {
  decodeEnvelope,
  encodeEnvelope,
  NewerEnvelope,
  UnacceptableEnvelope,
  type RejectedIncrement,
} from '../../../schema/message/envelope.ts';
import { Refusal } from '../errors.ts';

/** A message that counter services will accept. */
export interface Replay {
  id: string;
  body: string;
  increments: number;
  total: string;
}

/**
 * Makes a message from a dead letter's payload or from its repair: a whole message, one increment, or
 * an array of increments.
 *
 * @param options.id a new one, since an old one is refused as late.
 * @param options.idempotencyKey of the whole replay. Keys of single increments are left out: they belong
 * to the subject on which they came, and mean nothing on another.
 * @throws Refusal naming everything that would become a dead letter again.
 */
export function prepareReplay(
  payload: string,
  { id, idempotencyKey }: { id: string; idempotencyKey: string },
): Replay {
  const items = readIncrements(payload).map(asWritten);
  const body = encodeEnvelope(id, items.map(stringifyExactJson), idempotencyKey);
  const { envelope, rejected } = decode(body);
  if (rejected.length > 0) throw new Refusal(explain(rejected));
  const total = envelope.increments.reduce<Exact>((sum, { value }) => addExact(sum, value), 0);
  return { id, body, increments: envelope.increments.length, total: String(total) };
}

function readIncrements(payload: string): unknown[] {
  const parsed = parse(payload);
  if (Array.isArray(parsed)) return parsed;
  if (typeof parsed === 'object' && parsed !== null) {
    if ('increments' in parsed && Array.isArray(parsed.increments)) return parsed.increments;
    if ('key' in parsed || 'value' in parsed) return [parsed];
  }
  throw new Refusal(
    'the payload is neither an increment ({"key":…,"value":…}) nor an array of them nor a message ' +
      'with "increments"',
  );
}

function parse(payload: string): unknown {
  try {
    return parseExactJson(payload);
  } catch (error) {
    throw new Refusal(`the payload is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** As messages have it: the value a number. The idempotency key is called `once` or `idempotency_key`. */
function asWritten(item: unknown): unknown {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
  const { once: _, idempotency_key: __, ...rest } = item as Record<string, unknown>;
  return 'value' in rest ? { ...rest, value: readDigits(rest.value) } : rest;
}

function decode(body: string): ReturnType<typeof decodeEnvelope> {
  try {
    return decodeEnvelope(body);
  } catch (error) {
    if (error instanceof UnacceptableEnvelope || error instanceof NewerEnvelope)
      throw new Refusal(error.message, { cause: error });
    throw error;
  }
}

const RULES: Record<string, string> = {
  'bad-key': `its key ${KEY_RULE}`,
  'bad-value': `its value ${VALUE_RULE}`,
  'wrong-shape': 'it must be an object with "key" and "value" and nothing else',
};
const REJECTED_SHOWN_MAX = 20;

function explain(rejected: RejectedIncrement[]): string {
  const shown = rejected
    .slice(0, REJECTED_SHOWN_MAX)
    .map(({ index, reason }) => `increment ${index + 1}: ${RULES[reason] ?? reason}`);
  const rest = rejected.length - shown.length;
  return [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n      ');
}
