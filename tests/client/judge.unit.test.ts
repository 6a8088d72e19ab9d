import t from 'tap';
import { judgeAnswer, judgeSilence, NOT_STORED_CODES } from '../../client/src/judge.ts';
import { PROBLEMS } from '../../schema/http/problem.ts';

const textOf = (code: string) => JSON.stringify({ code, detail: 'why' });

void t.test('the client knows each 503 with which nothing was stored', (t) => {
  const ofGateways = Object.entries(PROBLEMS).filter(
    ([, { status, meaning }]) => status === 503 && meaning.includes('Nothing was stored'),
  );
  const shared = [...NOT_STORED_CODES].toSorted();
  const said = ofGateways.map(([code]) => code);
  t.strictSame(shared, said.toSorted());
  t.end();
});

void t.test('the client repeats what the table of the HTTP interface says', (t) => {
  for (const [code, { status }] of Object.entries(PROBLEMS)) {
    const failure = judgeAnswer(status, textOf(code));
    t.equal(failure.code, code);
    t.equal(failure.retryable, status >= 500 || status === 429 || status === 408, `${code}: retry`);
    const mayBeStored = status >= 500 && !NOT_STORED_CODES.has(code);
    t.equal(failure.mayBeStored, mayBeStored, `${code}: stored`);
  }
  t.match(judgeAnswer(503, textOf('outcome-unknown')), { retryable: true, mayBeStored: true });
  t.end();
});

void t.test('an answer that is not a gateway’s proves nothing', (t) => {
  const code = 'unexpected-answer';
  const page = '<html>Bad Gateway</html>';
  t.match(judgeAnswer(502, page), { code, retryable: true, mayBeStored: true });
  t.match(judgeAnswer(503, page), { code, retryable: true, mayBeStored: true });
  t.match(judgeAnswer(404, page), { code, retryable: false, mayBeStored: false });
  t.match(judgeAnswer(302, ''), { code, retryable: false, detail: /redirects/ });
  t.match(judgeAnswer(0, ''), { code, retryable: false, detail: /redirects/ });
  t.match(judgeAnswer(400, '{"code":7}'), { code });
  t.match(judgeAnswer(400, 'null'), { code });
  t.end();
});

void t.test('faults are handed on, and a broken connection says why', (t) => {
  const errors = [{ pointer: '/value', detail: 'must be an integer' }];
  const text = JSON.stringify({ code: 'invalid-request', detail: 'Refused', errors });
  t.strictSame(judgeAnswer(400, text).errors, errors);
  const cause = new Error('connect ECONNREFUSED');
  t.match(judgeSilence(new TypeError('fetch failed', { cause })), {
    code: 'no-answer',
    detail: 'fetch failed: connect ECONNREFUSED',
    retryable: true,
    mayBeStored: true,
  });
  t.end();
});
