import fc from 'fast-check';
import t from 'tap';
import {
  defaultRolePrefix,
  DEFAULT_SCHEMA,
  roleNames,
} from '../../../schema/database/database-names.ts';
import { findOldVersion } from '../../../schema/database/server-version.ts';

void t.test('roles are named after their database, and after a schema of its own', (t) => {
  t.equal(defaultRolePrefix('increments', DEFAULT_SCHEMA), 'mesh_increments');
  t.equal(defaultRolePrefix('increments', 'second'), 'mesh_increments_second');
  t.end();
});

void t.test('names of roles fit, whatever the database is called, and differ as those do', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (one, two) => {
      const [first, second] = [one, two].map((name) => defaultRolePrefix(name, DEFAULT_SCHEMA));
      for (const name of Object.values(roleNames(first!))) {
        if (!/^mesh_[a-z0-9_]{1,58}$/.test(name)) return false;
      }
      return one === two || first !== second;
    }),
  );
  for (const name of ['a'.repeat(63), 'A', 'ä b', 'one-two', 'one_two']) {
    t.ok(Buffer.byteLength(roleNames(defaultRolePrefix(name, DEFAULT_SCHEMA)).counter) <= 63, name);
  }
  t.not(defaultRolePrefix('one-two', DEFAULT_SCHEMA), defaultRolePrefix('one_two', DEFAULT_SCHEMA));
  t.end();
});

void t.test('a server that was never tested is named', (t) => {
  t.equal(findOldVersion(130_022), 'PostgreSQL 13 is too old: 14 is the oldest that works');
  t.equal(findOldVersion(140_000), undefined);
  t.end();
});
