import { createServer } from 'node:http';
import { endOnSignal } from './front.ts';

/** Node's own server: parses the increment, checks nothing, stores nothing. */
const id = '019a0000-0000-7000-8000-000000000000';
let sequence = 0;

const server = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => (text += chunk));
  request.on('end', () => {
    const { key, value } = JSON.parse(text) as { key: string; value: number };
    const accepted = key.length > 0 && value > 0 ? 1 : 0;
    const body = JSON.stringify({ accepted, id, sequence: ++sequence });
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': body.length,
    });
    response.end(body);
  });
});

server.listen(Number(process.env['PORT']), '127.0.0.1', endOnSignal);
