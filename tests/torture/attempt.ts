import { Agent, request } from 'node:http';
import type { Attempt, Outcome } from './book.ts';

/** Longer than a gateway's own deadline, so that only a frozen or a dead one is given up. */
const ANSWER_MS_MAX = 9_000;

/** Codes of a 503 that say "nothing was stored". */
const NOT_STORED = new Set([
  'broker-unavailable',
  'too-many-waiting',
  'stream-full',
  'stream-refused',
  'stopping',
]);

export interface Post {
  /** The whole of it. */
  url: string;
  via: string;
  body: string;
  headers?: Record<string, string>;
  agent: Agent;
  /** How long to wait for the answer; by default a little longer than a gateway waits itself. */
  answerMsMax?: number;
}

/** What came back: the attempt for the book, and the answer's status; 0 where there was none. */
export interface Answered {
  attempt: Attempt;
  status: number;
  retryAfter: string | undefined;
}

/** Posts what increments something once and says what is known then. Never rejects. */
export async function attemptPost(post: Post): Promise<Answered> {
  const startedAt = performance.now();
  const { status, body, errorCode, retryAfter } = await send(post);
  const { code, sequence } = readAnswer(body);
  const said = status === 0 ? errorCode : `${status}${code === undefined ? '' : ` ${code}`}`;
  const endedAt = performance.now();
  const outcome = judge(status, code ?? errorCode);
  return {
    status,
    retryAfter,
    attempt: { startedAt, endedAt, outcome, via: post.via, said, sequence },
  };
}

function judge(status: number, code: string): Outcome {
  if (status === 200) return 'accepted';
  if (status >= 400 && status < 500) return 'refused';
  if (status === 503 && NOT_STORED.has(code)) return 'refused';
  // Nobody listened, so nothing was sent.
  if (status === 0 && code === 'ECONNREFUSED') return 'refused';
  return 'unknown';
}

function readAnswer(body: string): { code?: string; sequence: number | undefined } {
  try {
    const { code, sequence } = JSON.parse(body) as { code?: string; sequence?: number };
    return { ...(code !== undefined && { code }), sequence };
  } catch {
    return { sequence: undefined };
  }
}

interface Reply {
  status: number;
  body: string;
  errorCode: string;
  retryAfter: string | undefined;
}

function send({ url, body, headers, agent, answerMsMax = ANSWER_MS_MAX }: Post): Promise<Reply> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const errorCode = error.code ?? error.message;
      resolve({ status: 0, body: '', errorCode, retryAfter: undefined });
    };
    const options = {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      agent,
      signal: AbortSignal.timeout(answerMsMax),
    };
    const sent = request(url, options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', fail);
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const retryAfter = answer.headers['retry-after'];
        resolve({ status: answer.statusCode ?? 0, body: text, errorCode: '', retryAfter });
      });
    });
    sent.on('error', fail);
    sent.end(body);
  });
}
