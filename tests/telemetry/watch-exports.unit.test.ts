import t from 'tap';
import { watchExports } from '../../telemetry/watch-exports.ts';

type Result = { code: number; error?: Error };

void t.test('exports that fail are said once, and that they succeed again once', (t) => {
  const said: string[] = [];
  let nowMs = 1_000;
  let next: Result = { code: 0 };
  const exporter = watchExports(
    { export: (_items: string[], done: (result: Result) => void) => done(next) },
    {
      signal: 'metrics',
      log: { warn: (line) => void said.push(line), info: (line) => void said.push(line) },
      readTimeMs: () => nowMs,
    },
  );
  const results: number[] = [];
  const send = (result: Result) => {
    next = result;
    nowMs += 21_000;
    exporter.export([], ({ code }) => void results.push(code));
  };
  const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });

  send({ code: 0 });
  t.strictSame(said, [], 'nothing while all is well');
  for (let time = 0; time < 3; time++) send({ code: 1, error: refused });
  t.match(said.splice(0), [/^metrics can't be exported \(ECONNREFUSED\)/]);
  send({ code: 0 });
  send({ code: 0 });
  t.strictSame(said.splice(0), ['metrics are exported again, after 63 s']);
  send({ code: 1 });
  t.match(
    said,
    [/^metrics can't be exported \(no reason given\)/],
    'said again when it fails again',
  );
  t.equal(said.length, 1);
  t.ok(
    results.every((code) => code === 0),
    'the SDK hears of none, which it would log each time',
  );
  t.end();
});
