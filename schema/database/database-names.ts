import { Type } from 'typebox';
import { digest } from '../digest.ts';
import { DATABASE_ROLES, type DatabaseRole } from './role-settings.ts';

/** The roles' names in one database. */
export type RoleNames = Record<DatabaseRole, string>;

export const DEFAULT_SCHEMA = 'increment_mesh';

/** Of the roles that servers of the mesh's own have: nobody else's are there. */
export const OWN_SERVER_PREFIX = 'mesh';

/** PostgreSQL cuts longer names off, in bytes; ours are ASCII. */
const NAME_LENGTH_MAX = 63;
const PREFIX_LENGTH_MAX = NAME_LENGTH_MAX - '_gateway'.length;

/** Where the tables are: each service's and each command's setting, the same for all of a mesh. */
export const DatabaseSchemaSetting = {
  DATABASE_SCHEMA: Type.String({
    default: DEFAULT_SCHEMA,
    pattern: `^(?!pg_)[a-z_][a-z0-9_]{0,${NAME_LENGTH_MAX - 1}}$`,
    description: 'Schema of the tables in PostgreSQL; the same for all services and commands',
  }),
};

export const RolePrefixSetting = {
  DATABASE_ROLE_PREFIX: Type.Optional(
    Type.String({
      pattern: `^(?!pg_)[a-z_][a-z0-9_]{0,${PREFIX_LENGTH_MAX - 1}}$`,
      description:
        'Names of the roles are this and `_gateway`, `_counter`, `_reader`; by default `mesh_` and the name of the database',
    }),
  ),
};

/**
 * The prefix of the roles of a database, and of a schema in it: roles belong to all databases of a server,
 * so each mesh has names of its own.
 */
export function defaultRolePrefix(database: string, schema: string): string {
  const place = schema === DEFAULT_SCHEMA ? database : `${database}_${schema}`;
  const prefix = `mesh_${place}`;
  if (new RegExp(`^[a-z0-9_]{1,${PREFIX_LENGTH_MAX}}$`).test(prefix)) return prefix;
  const mark = `_${digest(place).slice(0, 8)}`;
  const readable = prefix.toLowerCase().replaceAll(/[^a-z0-9_]+/g, '_');
  return `${readable.slice(0, PREFIX_LENGTH_MAX - mark.length)}${mark}`;
}

export function roleNames(prefix: string): RoleNames {
  return Object.fromEntries(DATABASE_ROLES.map((role) => [role, `${prefix}_${role}`])) as RoleNames;
}

/** What a role's comment says of whose it is. */
export function roleMark(database: string, schema: string): string {
  return `increment-mesh: schema ${schema} of database ${database}`;
}
