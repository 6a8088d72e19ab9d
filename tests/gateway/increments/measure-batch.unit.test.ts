import fc from 'fast-check';
import t from 'tap';
import { measureJsonBatch, measureNdjsonBatch } from '../../../gateway/increments/measure-batch.ts';
import { readJsonBatch, readNdjsonBatch } from '../../../gateway/increments/read-batch.ts';
import { makeKeys } from '../../support/counters.ts';

const [KEY = ''] = makeKeys(1);
const GOOD = `{"key":"${KEY}","value":1}`;
/** As large as a gateway takes. */
const BYTES_MAX = 1024 * 1024;
/** No request holds the event loop for longer. */
const HELD_MS_MAX = 50;

const fill = (part: string, bytes = BYTES_MAX - 10) => part.repeat(Math.floor(bytes / part.length));
const times = (count: number, part: string) => Array.from({ length: count }, () => part);

/** The largest body of each kind that could cost much. */
const JSON_BODIES: Record<string, string> = {
  'open brackets': fill('['),
  'open objects': fill('{"a":'),
  'nested arrays': `[${fill('[', BYTES_MAX / 2 - 9)}${fill(']', BYTES_MAX / 2 - 9)}]`,
  fractions: `[${fill('1.5,')}1]`,
  numbers: `[${fill('1,')}1]`,
  'empty objects': `[${fill('{},')}{}]`,
  'one number': `[${fill('1')}]`,
  'one value': `[{"key":"${KEY}","value":${fill('9', 1_000_000)}}]`,
  'one string of escapes': `["${fill('\\u0041')}"]`,
  'one long name': `[{"${fill('a')}":1}]`,
  'many names': `[{${Array.from({ length: 80_000 }, (_, index) => `"a${index}":1`).join(',')}}]`,
  'bad increments': `[${fill('{"key":"x","value":1},')}{}]`,
  'bad increments within the bounds': `[${times(10_000, '{"key":1.5,"value":1.5}').join(',')}]`,
  'unknown fields': `[${times(10_000, '{"a":1.5,"b":2}').join(',')}]`,
  spaces: `[${fill(' ')}]`,
  'increments, as many as there may be': `[${times(10_000, GOOD).join(',')}]`,
  'increments by large numbers': `[${times(10_000, `{"key":"${KEY}","value":9223372036854775807}`).join(',')}]`,
};
const NDJSON_BODIES: Record<string, string> = {
  'lines that are not JSON': fill('x\n'),
  'empty lines': fill('\n'),
  'empty objects': fill('{}\n'),
  'one deep line': fill('['),
  'deep lines': fill(`${'['.repeat(4_000)}\n`),
  'fractions within the bounds': times(10_000, '{"key":1.5,"value":1.5}').join('\n'),
  'increments, as many as there may be': times(10_000, GOOD).join('\n'),
};

void t.test('no body holds the event loop for long', (t) => {
  const read = (json: (text: string) => unknown, measure: (text: string) => number) => {
    return (text: string) => {
      try {
        measure(text);
        json(text);
      } catch {
        // Refused, which is what costs time here.
      }
    };
  };
  const formats = [
    ['JSON', JSON_BODIES, read(readJsonBatch, measureJsonBatch)],
    ['NDJSON', NDJSON_BODIES, read(readNdjsonBatch, measureNdjsonBatch)],
  ] as const;
  for (const [format, bodies, work] of formats) {
    for (const [kind, body] of Object.entries(bodies)) {
      t.ok(body.length <= BYTES_MAX);
      // A busy machine makes the same work dearer, and the first time is not compiled yet.
      let spentMs = Infinity;
      for (let tries = 0; tries < 20 && spentMs >= HELD_MS_MAX; tries++) {
        spentMs = Math.min(
          spentMs,
          cpuMs(() => work(body)),
        );
      }
      t.ok(spentMs < HELD_MS_MAX, `${format}, ${kind}: ${spentMs.toFixed(1)} ms`);
    }
  }
  t.end();
});

void t.test('the number that is charged is that of a valid batch', (t) => {
  const space = fc.constantFrom('', ' ', '\n', '\r\n', '\t ');
  const increment = fc
    .tuple(space, space, fc.integer({ min: 1 }))
    .map(([one, two, value]) => `${one}{${two}"key":"${KEY}",${one}"value":${two}${value}}${two}`);
  fc.assert(
    fc.property(fc.array(increment, { minLength: 1, maxLength: 50 }), (items) => {
      const body = `[${items.join(',')}]`;
      return measureJsonBatch(body) === readJsonBatch(body).increments.length;
    }),
  );
  t.equal(measureNdjsonBatch(`${GOOD}\n\n${GOOD}\n`), 2);
  t.equal(measureNdjsonBatch(GOOD), 1);
  t.end();
});

void t.test('a batch that is too large is refused before it is parsed', (t) => {
  const tooMany = times(10_001, GOOD);
  t.throws(() => measureJsonBatch(`[${tooMany.join(',')}]`), /1 to 10000 increments/);
  t.throws(() => measureNdjsonBatch(tooMany.join('\n')), /1 to 10000 increments/);
  t.equal(measureJsonBatch(`[${tooMany.slice(1).join(',')}]`), 10_000);
  t.end();
});

/** Of this process, so that other work on the machine does not count. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
