import { sql, type Kysely } from 'kysely';
import { TEMP_FILE_LIMIT } from './role-settings.ts';

/**
 * Says which rights the roles have that they should not: PostgreSQL only warns where it revokes nothing,
 * since the owner of the object is somebody else.
 */
export async function sayWhatIsLeft(
  db: Kysely<any>,
  options: { database: string; schema: string; names: string[]; say: (line: string) => void },
): Promise<void> {
  const { database, schema, names, say } = options;
  if (names.length === 0) return;
  const { rows } = await sql<{ temporary: boolean; create: boolean; unlimited: string[] | null }>`
    select bool_or(has_database_privilege(oid, current_database(), 'temporary')) as temporary,
      bool_or(has_schema_privilege(oid, ${schema}, 'create')) as create,
      array_agg(rolname::text order by rolname)
        filter (where coalesce(array_to_string(rolconfig, ' '), '') not like '%temp_file_limit=%')
        as unlimited
    from pg_roles where rolname in (${sql.join(names)})`.execute(db);
  const { temporary, create, unlimited } = rows[0]!;
  if (temporary) {
    say(
      `every role may make temporary tables in ${database}, which others there may need: else, as its ` +
        `owner, revoke temporary on database "${database}" from public`,
    );
  }
  if (create) {
    say(
      `every role may make tables in the schema ${schema}, and only its owner can change that: ` +
        `revoke create on schema ${schema} from public`,
    );
  }
  if (unlimited !== null) {
    say(
      `no limit for temporary files of ${unlimited.join(', ')}, which only a superuser can set: ` +
        `alter role … set temp_file_limit = '${TEMP_FILE_LIMIT}'`,
    );
  }
}
