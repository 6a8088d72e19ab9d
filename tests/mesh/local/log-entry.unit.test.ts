import { stripVTControlCharacters } from 'node:util';
import t from 'tap';
import { formatLogEntry } from '../../../mesh/local/format-log-entry.ts';
import { parseLogEntry } from '../../../mesh/local/log-entry.ts';

const TIME = '2026-11-27T09:13:12.123Z';

/** As `logs --utc` shows a line. */
function show(line: string): string | undefined {
  const entry = parseLogEntry(line);
  return entry && stripVTControlCharacters(formatLogEntry(entry, { name: 'one', isUtc: true }));
}

void t.test('a line of a service, of Caddy, nats-server and PostgreSQL is an entry', (t) => {
  const head = `{"level":40,"time":"${TIME}","service":"counter","pid":7,`;
  const lines: [string, string][] = [
    [`${head}"msg":"the broker is away"}`, `${TIME} one warn  the broker is away`],
    [
      `${head}"messages":3,"reason":"it is slow","msg":"late"}`,
      `${TIME} one warn  late messages=3 reason="it is slow"`,
    ],
    [
      `{"level":"error","ts":1795770792.123,"logger":"http.log.error","msg":"dial tcp","status":502}`,
      `${TIME} one error dial tcp status=502`,
    ],
    [`[7] 2026/11/27 09:13:12.123456 [WRN] Slow consumer`, `${TIME} one warn  Slow consumer`],
    [
      `2026-11-27 09:13:12.123 UTC [7] FATAL:  the database system is starting up`,
      `${TIME} one error the database system is starting up`,
    ],
  ];
  for (const [line, text] of lines) t.equal(show(line), text);
  t.equal(
    parseLogEntry('2026-11-27 09:13:12.123 UTC [7] DETAIL:  Key exists.')?.level,
    undefined,
    'it belongs to the line before it',
  );
  for (const line of ['', 'Error: x', '{"level":40', '{"a":1}', 'null', '[1]', '    at main.ts:1'])
    t.equal(parseLogEntry(line), undefined, line);
  t.end();
});

void t.test('an error is shown with its message, code and stack, said once', (t) => {
  const err = {
    type: 'DatabaseError',
    message: 'disk full',
    stack:
      'DatabaseError: disk full\n    at flush (counter/flush.ts:1:2)\n    at node:internal/x:1',
    code: '53100',
    file: 'md.c',
  };
  const line = { level: 50, time: TIME, service: 'counter', err, msg: 'a flush failed' };
  t.equal(
    show(JSON.stringify(line)),
    `${TIME} one error a flush failed: disk full code=53100\n    at flush (counter/flush.ts:1:2)`,
  );
  const alone = { ...line, msg: 'disk full' };
  t.match(show(JSON.stringify(alone)), /error disk full code=53100\n/);
  const caused = { ...err, stack: `${err.stack}\ncaused by: Error: no room\n    at x (y.ts:1:1)` };
  t.match(show(JSON.stringify({ ...line, err: caused })), /\n {4}caused by: Error: no room\n/);
  t.end();
});

void t.test('no text of a log commands the terminal', (t) => {
  const hostile = '\u001b[2Jgone\u0007\u009b1m\u202edrow\rx';
  const line = JSON.stringify({
    level: 30,
    time: TIME,
    msg: hostile,
    agent: hostile,
    [hostile]: 1,
    err: { message: hostile, stack: `Error: x\n    at ${hostile}` },
  });
  const shown = formatLogEntry(parseLogEntry(line)!, { name: hostile });
  // oxlint-disable-next-line no-control-regex -- it is what must not be there
  t.notMatch(stripVTControlCharacters(shown), /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
  t.match(shown, String.raw`\x1b[2Jgone\x07\x9b1m\u202edrow\x0dx`);
  t.end();
});

void t.test('a long field is cut, and fields are no lines of their own', (t) => {
  const line = { level: 30, time: TIME, msg: 'm', long: 'x'.repeat(5_000), two: 'a\nb' };
  const shown = show(JSON.stringify(line)) ?? '';
  t.ok(shown.length < 400);
  t.match(shown, String.raw`two="a\nb"`);
  t.equal(shown.split('\n').length, 1);
  t.end();
});
