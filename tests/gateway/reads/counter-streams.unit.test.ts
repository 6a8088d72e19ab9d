import { finished } from 'node:stream/promises';
import t from 'tap';
import { createCounterStreams } from '../../../gateway/reads/counter-streams.ts';
import { createDatabaseReads } from '../../../gateway/reads/database-reads.ts';
import { until } from '../../support/until.ts';

void t.test('streams of counters', async (t) => {
  const warnings: unknown[] = [];
  const streams = createCounterStreams(createDatabaseReads((error) => warnings.push(error)));
  let running = 0;
  let given = 0;
  async function* endless(): AsyncGenerator<string, void, undefined> {
    running += 1;
    try {
      for (;;) {
        given += 1;
        yield 'line\n';
        await Promise.resolve();
      }
    } finally {
      running -= 1;
    }
  }

  await t.test('take no more than their readers read', async (t) => {
    const stream = await streams.open(endless);
    stream.resume().pause();
    await new Promise((resolve) => setImmediate(resolve));
    const before = given;
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(given, before);
    t.ok(given < 10);
    stream.destroy();
    await until('its end', () => running === 0);
  });

  await t.test('are two at most, and free their room however they end', async (t) => {
    const [one, two] = [await streams.open(endless), await streams.open(endless)];
    await t.rejects(streams.open(endless), { code: 'too-many-waiting' });
    one.destroy();
    await until('room', () => running === 1);
    await t.rejects(
      // eslint-disable-next-line require-yield
      streams.open(async function* () {
        throw new Error('away');
      }),
      { code: 'database-away' },
    );
    t.equal(warnings.length, 1);
    const breaking = await streams.open(async function* () {
      yield 'line\n';
      throw new Error('gone');
    });
    await t.rejects(breaking.toArray(), { code: 'database-away' }, 'no end that looks whole');
    const whole = await streams.open(async function* () {
      yield 'line\n';
      yield 'last\n';
    });
    t.equal((await whole.toArray()).join(''), 'line\nlast\n');
    (await streams.open(endless)).destroy();
    two.destroy();
    await until('their ends', () => running === 0);
  });

  await t.test('break off where their readers may read no more', async (t) => {
    let mayRead = true;
    const stream = await streams.open(endless, () => mayRead);
    const read = async () => {
      stream.on('data', () => (mayRead = false));
      await finished(stream);
    };
    await t.rejects(read(), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    await until('its end', () => running === 0);
  });

  await t.test('break off at a stop', async (t) => {
    const stream = await streams.open(endless);
    streams.stop();
    t.ok(stream.destroyed);
    await until('its end', () => running === 0);
    await t.rejects(streams.open(endless), { code: 'stopping' });
  });
});
