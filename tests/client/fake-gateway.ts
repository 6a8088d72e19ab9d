import type { Fetch } from '../../client/src/main.ts';

/** What a client sent, so far as tests look at it. */
export interface Sent {
  url: string;
  method: string;
  headers: Record<string, string>;
  body: string;
}

export type Answer = Response | Error;

/** A fetch that gives these answers in turn, the last one again and again, and keeps what was sent. */
export function fakeGateway(...answers: (() => Answer)[]): { fetch: Fetch; sent: Sent[] } {
  const sent: Sent[] = [];
  const fetch: Fetch = async (url, { method = '', headers, body }) => {
    const answer = answers[Math.min(sent.length, answers.length - 1)]?.();
    sent.push({
      url,
      method,
      headers: { ...(headers as Record<string, string>) },
      body: typeof body === 'string' ? body : '',
    });
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no answer');
    return answer;
  };
  return { fetch, sent };
}

export function accepted(count = 1): Response {
  return Response.json({
    accepted: count,
    id: '01a20796-d738-7798-9027-666dad60be1c',
    sequence: 14,
  });
}

export function problem(
  status: number,
  code: string,
  { retryAfter, ...more }: { retryAfter?: string; errors?: object[] } = {},
): Response {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (retryAfter !== undefined) headers['retry-after'] = retryAfter;
  const body = JSON.stringify({ status, code, detail: `it is ${code}`, ...more });
  return new Response(body, { status, headers });
}
