import t from 'tap';
import { makeKeys } from '../../support/counters.ts';
import { buildTestGateway } from '../test-gateway.ts';

const [KEY = ''] = makeKeys(1);
const UUID_RULE = 'must be a UUID of the form 8-4-4-4-12, and not the nil UUID';

interface Refused {
  path: string;
  body?: string;
  type?: string;
  detail: string;
}

const REFUSED: Record<string, Refused> = {
  'no content type that is known': {
    path: '/increment',
    body: 'x',
    type: 'text/plain',
    detail: 'The content type is "text/plain"; send application/json.',
  },
  'what curl sends by itself': {
    path: '/increments',
    body: '[]',
    type: 'application/x-www-form-urlencoded',
    detail:
      'The content type is "application/x-www-form-urlencoded"; send application/json or application/x-ndjson.',
  },
  'an encoding that is not UTF-8': {
    path: '/increment',
    body: `{"key":"${KEY}","value":1}`,
    type: 'application/json; charset=latin1',
    detail: 'The charset is "latin1"; send UTF-8.',
  },
  'the same of a batch': {
    path: '/increments',
    body: `{"key":"${KEY}","value":1}`,
    type: 'application/x-ndjson;charset="UTF-16"',
    detail: 'The charset is "UTF-16"; send UTF-8.',
  },
  'a byte order mark': {
    path: '/increment',
    body: `\ufeff{"key":"${KEY}","value":1}`,
    detail: 'The body begins with a byte order mark; leave it out.',
  },
  'a byte order mark of UTF-16': {
    path: '/increments',
    body: '\ufffd\ufffd[',
    detail: 'The body is not UTF-8; send it in that encoding.',
  },
  'a body that is too long': {
    path: '/increment',
    body: ' '.repeat(4_097),
    detail: 'The body is longer than 4096 bytes.',
  },
  'a list where one is wanted': {
    path: '/increment',
    body: '[]',
    detail: 'Refused: body must be an object with "key" and "value".',
  },
  'one bad key among those to read': {
    path: `/counters?key=${KEY}&key=nope`,
    detail: `Refused: key/1 ${UUID_RULE}.`,
  },
  'a bad key alone': { path: '/counters?key=nope', detail: `Refused: key/0 ${UUID_RULE}.` },
  'more keys than are read at once': {
    path: `/counters?${`key=${KEY}&`.repeat(101)}`,
    detail: 'Refused: key must not have more than 100 items.',
  },
  'an id that no message has': {
    path: '/increments/nope',
    detail: 'Refused: id must be the id in the answer to an accepted increment.',
  },
};

void t.test('a refusal says what is wrong, once, and what to do', async (t) => {
  const { send, post } = await buildTestGateway(t);
  for (const [name, { path, body, type = 'application/json', detail }] of Object.entries(REFUSED)) {
    const sent = body === undefined ? send(path) : post(path, body, { 'content-type': type });
    const answer = await sent;
    t.equal((JSON.parse(answer.body) as { detail: string }).detail, detail, name);
  }
  for (const charset of ['utf-8', 'UTF-8', '"utf8"', 'us-ascii']) {
    const type = { 'content-type': `application/json; charset=${charset}` };
    t.equal((await post('/increment', { key: KEY, value: 1 }, type)).status, 200, charset);
  }
});
