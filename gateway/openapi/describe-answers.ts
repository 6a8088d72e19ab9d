import { EXAMPLE_KEY } from '../../schema/increment.ts';
import { EXAMPLE_ID } from '../../schema/http/accepted.ts';
import {
  Problem,
  PROBLEM_CONTENT_TYPE,
  PROBLEMS,
  type ProblemCode,
} from '../../schema/http/problem.ts';
import { createProblem } from '../errors/problem-details.ts';

const header = (description: string, example: string) => ({
  type: 'string',
  description,
  examples: [example],
});

const REQUEST_ID = header("The request's id, as in the gateway's log", '5f0c2b1e-a');
/** Of every answer. */
const COMMON = {
  'x-request-id': REQUEST_ID,
  'cache-control': header('No answer is kept', 'no-store'),
  'x-content-type-options': header('The content type holds', 'nosniff'),
  'referrer-policy': header('For browsers', 'no-referrer'),
};
const RETRY_AFTER = header('Seconds to wait before a retry', '1');
const REPLAYED = header(
  '`true` if this gateway has answered the same Idempotency-Key before',
  'true',
);
const RATE_LIMIT = {
  ratelimit: header(
    'What is left of the limit (`r`), and the seconds until more is free (`t`)',
    '"default";r=5999;t=42',
  ),
  'ratelimit-policy': header(
    'The limit (`q`) in a window of seconds (`w`)',
    '"default";q=6000;w=60',
  ),
};

/** Headers that only some answers have, besides the request's id. */
const HEADERS: Record<number, object> = {
  401: { 'www-authenticate': header('RFC 6750', 'Bearer realm="increment-mesh"') },
  403: {
    'www-authenticate': header(
      'RFC 6750',
      'Bearer realm="increment-mesh", error="insufficient_scope", scope="write"',
    ),
  },
  405: { allow: header('The methods that the path has', 'OPTIONS, POST') },
  429: { 'retry-after': RETRY_AFTER },
  503: { 'retry-after': RETRY_AFTER },
};

/** A route's answers for the document: its own, then its errors, each with an example. */
export function describeAnswers(
  answers: Record<string, object>,
  codes: ProblemCode[],
  url: string,
): Record<string, object> {
  const described: Record<string, object> = {};
  // The rate limit is checked after the API key; all later answers have its headers.
  const limits = codes.includes('rate-limited') ? RATE_LIMIT : {};
  for (const [status, schema] of Object.entries(answers)) {
    const replayed = codes.includes('idempotency-key-reused')
      ? { 'idempotent-replayed': REPLAYED }
      : {};
    const headers = { ...COMMON, ...replayed, ...limits };
    described[status] = { ...schema, headers };
  }
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status);
  for (const [status, group] of [...byStatus].toSorted(([left], [right]) => left - right)) {
    const isKeyRefused = status === 401 || status === 403;
    const own = group.includes('cross-origin') ? {} : HEADERS[status];
    const headers = { ...own, ...(isKeyRefused ? {} : limits) };
    described[status] = {
      ...describeProblems(group, url),
      headers: { ...COMMON, ...headers },
    };
  }
  return described;
}

function describeProblems(codes: ProblemCode[], url: string): object {
  const path = url.replace(':key', EXAMPLE_KEY).replace(':id', EXAMPLE_ID);
  const examples = codes.map((code) => {
    const { meaning } = PROBLEMS[code];
    const problem = createProblem(code, meaning, path);
    if (code === 'method-not-allowed')
      problem.detail = 'This path does not have GET, but OPTIONS, POST.';
    if (code === 'invalid-request') problem.errors = [{ detail: 'is missing', pointer: '/value' }];
    return [code, { summary: meaning, value: problem }];
  });
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].meaning}`).join('\n\n'),
    content: {
      [PROBLEM_CONTENT_TYPE]: {
        schema: Problem,
        examples: Object.fromEntries(examples),
      },
    },
  };
}
