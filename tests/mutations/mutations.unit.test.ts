import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import t from 'tap';
import { PROJECT, readEdited } from './copy-edited.ts';
import { findFailedAssertion } from './failed-assertion.ts';
import { editsOf } from './mutation.ts';
import { MUTATIONS } from './mutations.ts';

void t.test('every mutation still fits the code, and leaves code that runs', (t) => {
  for (const mutation of MUTATIONS) {
    for (const edit of editsOf(mutation)) {
      t.doesNotThrow(() => {
        const edited = readEdited(edit);
        if (edit.file.endsWith('.ts')) stripTypeScriptTypes(edited);
      }, `${mutation.promise}: ${edit.file}`);
    }
    t.ok(mutation.tests.length > 0, mutation.promise);
    for (const file of mutation.tests) t.ok(existsSync(join(PROJECT, file)), file);
  }
  const promises = new Set(MUTATIONS.map(({ promise }) => promise));
  t.equal(promises.size, MUTATIONS.length, 'each has a promise of its own');
  t.end();
});

void t.test('every guarantee has a mutation that breaks it', (t) => {
  const page = readFileSync(join(PROJECT, 'docs/guarantees.md'), 'utf8');
  const [, table = ''] = page.split('| promise |');
  const rows = [...table.split('\n\n', 1)[0]!.matchAll(/^\| (?!-)(.+?) \|/gm)].map(
    ([, row]) => row!,
  );
  t.ok(rows.length > 20, `${rows.length} guarantees`);
  const named = MUTATIONS.flatMap(({ guarantee }) => guarantee ?? []);
  for (const row of rows) {
    t.ok(
      named.some((start) => row.startsWith(start)),
      row,
    );
  }
  for (const start of named) t.equal(rows.filter((row) => row.startsWith(start)).length, 1, start);
  t.end();
});

void t.test('only an assertion that fails has noticed something', (t) => {
  const failed = `TAP version 14
    # Subtest: a promise
        not ok 1 - the count
          ---
          expected: 1
          ...
    not ok 1 - a promise # time=5.1ms
not ok 1 - a guarantee # time=7ms
Bail out! the count
`;
  t.equal(findFailedAssertion(failed), 'a guarantee');
  const [cut = ''] = failed.split('\n    not ok');
  t.equal(findFailedAssertion(cut), 'the count', 'where the rest was left out');
  t.equal(findFailedAssertion('Bail out! not within 5 s\n'), 'not within 5 s', 'thrown');
  t.equal(findFailedAssertion('ok 1 - a guarantee\n'), undefined);
  t.ok(findFailedAssertion(`${failed}source: { name: 'StartError' }`), 'it may be expected');
  for (const broken of [
    'ReferenceError: x is not defined',
    'StartError: nats-server exited',
    '  type: ReferenceError',
  ]) {
    t.equal(findFailedAssertion(`${failed}\n${broken}`), undefined, broken);
  }
  t.end();
});
