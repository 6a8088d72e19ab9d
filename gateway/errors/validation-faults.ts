import type { TLocalizedValidationError } from 'typebox/error';
import { INCREMENT_RULE, KEY_RULE, VALUE_RULE } from '../../schema/increment.ts';
import { ID_RULE } from '../../schema/http/accepted.ts';

/** A fault and its location: a JSON pointer, or a line. */
export interface Fault {
  detail: string;
  pointer: string;
}

/** One fault for each location, below a prefix, in the words of the rule that it breaks. */
export function describeFaults(found: TLocalizedValidationError[], prefix = ''): Fault[] {
  const faults = new Map<string, string>();
  for (const error of found) {
    for (const [pointer, detail] of locate(error)) {
      if (!faults.has(pointer)) faults.set(pointer, detail);
    }
  }
  return [...faults].map(([pointer, detail]) => ({ pointer: `${prefix}${pointer}`, detail }));
}

type Located = [pointer: string, detail: string];

/** The name of an unknown field comes from the client and may be long. */
const POINTER_LENGTH_MAX = 100;

/** By field; the body itself has no name. */
const RULES: Record<string, string> = {
  '': INCREMENT_RULE,
  key: KEY_RULE,
  keys: KEY_RULE,
  after: KEY_RULE,
  value: VALUE_RULE,
  id: ID_RULE,
};

function locate({ instancePath, keyword, params, message }: TLocalizedValidationError): Located[] {
  if (keyword === 'required') {
    return params.requiredProperties.map((name) => [`${instancePath}/${name}`, 'is missing']);
  }
  // TypeBox reports an unknown field twice: for the object and for the field.
  if (keyword === 'additionalProperties') return [];
  if (keyword === 'boolean')
    return [[instancePath.slice(0, POINTER_LENGTH_MAX), 'is not a known field']];
  // A list has the rule of its items, except for its length.
  if (keyword === 'maxItems' || keyword === 'minItems') return [[instancePath, message]];
  const field = instancePath.split('/').findLast((segment) => !/^\d+$/.test(segment)) ?? '';
  return [[instancePath, RULES[field] ?? message]];
}
