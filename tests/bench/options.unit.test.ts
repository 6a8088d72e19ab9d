import t from 'tap';
import { measureOptions } from './harness/benchmark.ts';
import { readOptions, WrongArguments } from './options.ts';

void t.test('several numbers of connections are read, and one is taken where one is used', (t) => {
  t.strictSame(readOptions([]).connections, [64, 256]);
  const options = readOptions(['bulk', '--connections', '8,1,512']);
  t.strictSame(options.connections, [8, 1, 512]);
  t.equal(measureOptions(options, () => undefined).load.connections, 8);
  for (const wrong of ['', '64,', 'many', '-1'])
    t.throws(() => readOptions([`--connections=${wrong}`]), WrongArguments, wrong);
  t.end();
});

void t.test('only a run of all contenders may be written into the pages', (t) => {
  t.equal(readOptions(['--write-docs']).writeDocs, true);
  t.throws(() => readOptions(['--write-docs', '--only', 'mesh']), WrongArguments);
  t.throws(() => readOptions(['--write-docs', '--rate', '100']), WrongArguments);
  t.throws(() => readOptions(['bulk', '--write-docs']), WrongArguments);
  t.end();
});
