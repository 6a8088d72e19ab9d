import { Type } from 'typebox';
import {
  DatabaseSchemaSetting,
  defaultRolePrefix,
  RolePrefixSetting,
  roleNames,
} from '../../schema/database/database-names.ts';
import { readEnvironment } from '../../schema/settings/environment.ts';
import { writeSql } from '../database/write-sql.ts';
import { EXIT, type Command } from './command.ts';

const Settings = Type.Object({
  ...DatabaseSchemaSetting,
  ...RolePrefixSetting,
  GATEWAY_DATABASE_PASSWORD: Type.Optional(Type.String()),
  COUNTER_DATABASE_PASSWORD: Type.Optional(Type.String()),
  READER_DATABASE_PASSWORD: Type.Optional(Type.String()),
});

/** `sql` */
export const sqlCommand: Command = {
  name: 'sql',
  synopsis: '[DATABASE] [--roles-only]',
  summary: 'Prints the SQL by which a DBA prepares a database',
  help: `
Schema, tables, roles and rights in DATABASE (increments, if none is given), for a server on which the
mesh may not make them itself: one transaction. It connects to nothing. It can be run again, and adds
what is missing after an upgrade:

  npm run --silent mesh -- sql | psql increments

Passwords come from GATEWAY_DATABASE_PASSWORD, COUNTER_DATABASE_PASSWORD and
READER_DATABASE_PASSWORD, and are printed as SCRAM-SHA-256 verifiers; a role without one keeps the
password that it has. DATABASE_SCHEMA and DATABASE_ROLE_PREFIX are used, as services have them:
DATABASE_ROLE_PREFIX=mesh for roles of an earlier version, mesh_gateway and mesh_counter. Where the
database has such roles and another prefix is printed, psql shows a warning.

  --roles-only   only the roles; the owner of the database makes the rest by npm run provision`,
  options: { 'roles-only': { type: 'boolean' } },
  words: { min: 0, max: 1 },
  run: async ({ words, options, terminal, print }) => {
    const [database = 'increments'] = words;
    const settings = readEnvironment(Settings, terminal.environment);
    // Not that of the mesh which runs here: it is for another server.
    const schema = settings.DATABASE_SCHEMA;
    const prefix = settings.DATABASE_ROLE_PREFIX ?? defaultRolePrefix(database, schema);
    const { GATEWAY_DATABASE_PASSWORD: gateway, COUNTER_DATABASE_PASSWORD: counter } = settings;
    const { READER_DATABASE_PASSWORD: reader } = settings;
    const text = await writeSql({
      database,
      schema,
      names: roleNames(prefix),
      passwords: {
        ...(gateway !== undefined && { gateway }),
        ...(counter !== undefined && { counter }),
        ...(reader !== undefined && { reader }),
      },
      rolesOnly: options['roles-only'] === true,
    });
    print({ sql: text }, () => text);
    return EXIT.fine;
  },
};
