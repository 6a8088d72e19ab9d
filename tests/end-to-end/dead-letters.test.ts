import { randomUUIDv7 } from 'node:crypto';
import t from 'tap';
import { makeKeys, readCounter, untilCounted } from '../support/counters.ts';
import { shareCounter, shareServers } from '../support/shared-mesh.ts';
import { until } from '../support/until.ts';

void t.test(
  'what can not be counted goes to the dead letters and costs its neighbours nothing',
  async (t) => {
    const { servers, streams } = await shareServers();
    await shareCounter();
    const { length: before } = await streams.readDeadLetters();
    const [key = ''] = makeKeys(1);
    const good = `{"key":"${key}","value":1}`;
    const envelope = (increments: string[], id: string = randomUUIDv7(), version = 1) =>
      `{"version":${version},"id":"${id}","increments":[${increments.join(',')}]}`;
    const anHourAgo = (Date.now() - 3_600_000).toString(16).padStart(12, '0');
    const oldId = `${anHourAgo.slice(0, 8)}-${anHourAgo.slice(8)}-7000-8000-000000000000`;
    const reusedId = randomUUIDv7();

    const pack = Array.from({ length: 500 }, () => good);
    pack[250] = `{"key":"${key}","value":9223372036854775808}`;
    const sent: [reason: string | undefined, body: string][] = [
      [undefined, envelope([good])],
      ['not-json', 'hello'],
      ['wrong-shape', '[]'],
      ['wrong-shape', '{"version":1}'],
      // What an idle gateway stores.
      [undefined, envelope([])],
      ['wrong-shape', envelope([good], '0f8fad5b-d9cb-469f-a165-70867728950e')],
      ['late', envelope([good], oldId)],
      ['bad-value', envelope(pack)],
      [undefined, envelope([good], reusedId)],
      ['message-id-reused', envelope([good, good], reusedId)],
      [undefined, envelope([good])],
    ];
    const expected: [reason: string, sequence: number][] = [];
    for (const [reason, body] of sent) {
      const sequence = await streams.store(body);
      if (reason !== undefined) expected.push([reason, sequence]);
    }

    await untilCounted(servers.database, key, 3 + 499);
    await until('a quiet stream', servers.inspect, ({ messages }) => messages === 0);
    // They are handed over after the commit, as the stream is purged, in no order of the two.
    const readNew = async () => (await streams.readDeadLetters()).slice(before);
    const letters = await until(
      'every dead letter',
      readNew,
      ({ length }) => length >= expected.length,
    );
    t.strictSame(
      letters
        .map(({ reason, originalSequence }) => [reason, originalSequence])
        .toSorted((left, right) => Number(left[1]) - Number(right[1])),
      expected,
    );
    for (const letter of letters) {
      t.equal(letter.originalSubject, 'increments.replay');
      t.equal(letter.subject, 'dead.increments.replay');
    }
    const part = letters.find(({ reason }) => reason === 'bad-value');
    t.equal(
      part?.payload,
      `{"key":"${key}","value":9223372036854775808}`,
      'only the bad increment',
    );
    t.equal(letters.find(({ reason }) => reason === 'not-json')?.payload, 'hello');
    t.equal(await readCounter(servers.database, key), '502');
  },
);

void t.test('messages that are bad throughout keep no other from being counted', async (t) => {
  const { servers, streams } = await shareServers();
  await shareCounter();
  const { length: before } = await streams.readDeadLetters();
  const [key = ''] = makeKeys(1);
  const good = `{"key":"${key}","value":1}`;
  const envelope = (increments: string) =>
    `{"version":1,"id":"${randomUUIDv7()}","increments":[${increments}]}`;
  // JSON can be parsed at this depth, and not be written.
  const deep = envelope(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
  // Together more than a call of a function may have arguments.
  const bad = [...Array.from({ length: 9_998 }, () => '0'), '{"key":5}', good].join(',');
  const many = Array.from({ length: 14 }, () => envelope(bad));
  const sequences: number[] = [];
  for (const body of [envelope(good), deep, ...many, envelope(good)]) {
    sequences.push(await streams.store(body));
  }

  await untilCounted(servers.database, key, 2 + many.length);
  const letters = await until(
    'a letter for each reason of each message',
    async () => (await streams.readDeadLetters()).slice(before),
    ({ length }) => length >= 1 + 2 * many.length,
  );
  t.equal(letters.length, 1 + 2 * many.length);
  t.strictSame(
    letters
      .filter(({ originalSequence }) => originalSequence === sequences[1])
      .map(({ payload }) => payload),
    [deep],
  );
  const wrong = letters.filter(
    ({ reason, payload }) => reason === 'wrong-shape' && payload.startsWith('[0,'),
  );
  t.equal(wrong.length, many.length);
  for (const { payload } of wrong) t.equal((JSON.parse(payload) as unknown[]).length, 9_998);
  const keyless = letters.filter(({ reason }) => reason === 'bad-key');
  t.equal(keyless.length, many.length);
  for (const { payload } of keyless) t.equal(payload, '{"key":5}');
});
