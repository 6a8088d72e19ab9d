import type { ErrorCode, ErrorFacts, Fault } from './error.ts';

/** Why an attempt did not succeed. */
export interface Failure extends ErrorFacts {
  code: ErrorCode;
  detail: string;
  retryable: boolean;
  mayBeStored: boolean;
}

/** Codes of a 503 with which nothing was stored. A 503 without one of them may be a proxy's, and tells nothing. */
export const NOT_STORED_CODES: ReadonlySet<string> = new Set([
  'broker-unavailable',
  'overloaded',
  'stopping',
  'stream-full',
  'stream-refused',
  'too-many-waiting',
]);

const DETAIL_LENGTH_MAX = 200;

/**
 * What an answer that is no success means, as the table in docs/http-api.md has it: 408, 429 and 5xx are worth a
 * repeat, any other 4xx is not, and neither is what no gateway answers.
 */
export function judgeAnswer(status: number, text: string): Failure {
  const problem = readProblem(text);
  const code = problem?.code ?? 'unexpected-answer';
  const isServers = status >= 500;
  return {
    code,
    detail: problem?.detail ?? describeForeign(status, text),
    status,
    errors: problem?.errors,
    retryable: isServers || status === 408 || status === 429,
    mayBeStored: isServers && !(status === 503 && NOT_STORED_CODES.has(code)),
  };
}

function describeForeign(status: number, text: string): string {
  // A browser hides the status of a redirect that is not followed.
  if (status === 0 || (status >= 300 && status < 400)) {
    return 'the url redirects to another; use that one';
  }
  return `status ${status}, and no answer of a gateway: ${text.trim().slice(0, DETAIL_LENGTH_MAX)}`;
}

/** The connection broke or the time was over, so nobody knows how far the request came. */
export function judgeSilence(cause: unknown): Failure {
  return {
    code: 'no-answer',
    detail: cause instanceof Error ? describe(cause) : String(cause),
    retryable: true,
    mayBeStored: true,
    cause,
  };
}

/** Node's fetch says only "fetch failed", and has the reason in its cause. */
function describe({ message, cause }: Error): string {
  return cause instanceof Error && cause.message !== '' ? `${message}: ${cause.message}` : message;
}

interface Problem {
  code: string;
  detail: string;
  errors?: Fault[] | undefined;
}

/** A problem document of a gateway; undefined for any other text. */
function readProblem(text: string): Problem | undefined {
  try {
    const { code, detail, errors } = JSON.parse(text) as Partial<Problem>;
    if (typeof code !== 'string' || typeof detail !== 'string') return undefined;
    return { code, detail, errors: Array.isArray(errors) ? errors : undefined };
  } catch {
    return undefined;
  }
}
