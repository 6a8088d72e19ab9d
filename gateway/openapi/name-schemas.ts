/*
 * Gives the document's parts their names, so that generators make named types, and what is said of every
 * answer is said once. A schema is called by its title.
 */
import { PROBLEMS, type ProblemCode } from '../../schema/http/problem.ts';
import { describeAnswers } from './describe-answers.ts';

type Json = Record<string, any>;

/** Answers that any request may get, with a name for programs. */
const SHARED: Partial<Record<ProblemCode, string>> = {
  'method-not-allowed': 'MethodNotAllowed',
  'request-timeout': 'RequestTimeout',
  'uri-too-long': 'UriTooLong',
  'headers-too-large': 'HeadersTooLarge',
  'internal-error': 'InternalError',
};
/** And those of a gateway without API keys, except to probes. */
const SHARED_WITHOUT_KEYS: Partial<Record<ProblemCode, string>> = {
  'cross-origin': 'CrossOrigin',
  misdirected: 'Misdirected',
};

/** Of one name, but not always the same. */
const HEADERS_IN_PLACE = ['www-authenticate'];

/**
 * @param documented schemas to show in the place of those that check, by title.
 * @param hasKeys whether requests need API keys.
 */
export function nameSchemas(
  document: Json,
  { documented, hasKeys }: { documented: Record<string, Json>; hasKeys: boolean },
): Json {
  const schemas: Record<string, Json> = {};
  const headers: Record<string, Json> = {};
  const responses: Record<string, Json> = {};
  for (const operations of Object.values<Json>(document['paths'] as Json)) {
    for (const operation of Object.values<Json>(operations)) addShared(operation);
  }
  const named = replace(document) as Json;
  return {
    ...named,
    components: {
      ...named['components'],
      schemas: sorted(schemas),
      responses: sorted(replace(responses) as Json),
      headers: sorted(headers),
    },
  };

  function addShared(operation: Json): void {
    const isProbe = (operation['tags'] as string[]).includes('Health');
    const shared = { ...SHARED, ...(hasKeys || isProbe ? {} : SHARED_WITHOUT_KEYS) };
    for (const [code, name] of Object.entries(shared)) {
      const { status } = PROBLEMS[code as ProblemCode];
      operation['responses'][status] ??= { $ref: `#/components/responses/${name}` };
      responses[name] ??= describeShared(code as ProblemCode);
    }
  }

  function replace(value: unknown, name = ''): unknown {
    if (Array.isArray(value)) return value.map((item) => replace(item));
    // What an example has may look like a schema.
    if (typeof value !== 'object' || value === null || /^examples?$/.test(name)) return value;
    const copy: Json = Object.fromEntries(
      Object.entries(value).map(([inner, item]) => [
        inner,
        inner === 'headers' ? referHeaders(item as Json) : replace(item, inner),
      ]),
    );
    const { title, ...schema } = copy;
    if (typeof title !== 'string' || !('type' in copy || 'anyOf' in copy)) return copy;
    if (!(title in schemas)) {
      const shown = documented[title];
      schemas[title] = schema;
      if (shown !== undefined) schemas[title] = replace(shown) as Json;
    }
    return { $ref: `#/components/schemas/${title}` };
  }

  function referHeaders(given: Json): Json {
    return Object.fromEntries(
      Object.entries(given).map(([name, header]) => {
        if (HEADERS_IN_PLACE.includes(name)) return [name, header];
        headers[name] ??= header as Json;
        return [name, { $ref: `#/components/headers/${name}` }];
      }),
    );
  }
}

/** In the form of the document; those of routes are brought to it by the plug-in. */
function describeShared(code: ProblemCode): Json {
  const described = describeAnswers({}, [code], '/increment')[PROBLEMS[code].status] as Json;
  const headers = Object.entries<Json>(described['headers'] as Json).map(
    ([name, { description, ...schema }]) => [name, { description, schema }],
  );
  return { ...described, headers: Object.fromEntries(headers) };
}

function sorted(record: Json): Json {
  return Object.fromEntries(
    Object.entries(record).toSorted(([left], [right]) => (left < right ? -1 : 1)),
  );
}
