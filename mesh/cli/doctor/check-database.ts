import { sql } from 'kysely';
import { OWN_SERVER_PREFIX, type RoleNames } from '../../../schema/database/database-names.ts';
import { describeDatabaseUrl, withDatabaseUser } from '../../../schema/database/database-url.ts';
import { describeDatabaseError } from '../../../schema/database/describe-database-error.ts';
import { openOwner, surveyOwner } from '../../../schema/database/migrate.ts';
import { checkServices } from '../../database/check-services.ts';
import type { ServiceUrls } from '../../database/service-urls.ts';
import type { MeshServers } from '../mesh-servers.ts';
import type { KnownSecrets } from './known-secrets.ts';

export interface DatabaseCheck {
  at: string;
  version: string;
  /** As whom it was looked at. */
  users: string[];
  /** What keeps the database from being used, each with what to do. */
  problems: string[];
}

/**
 * What provisioning looks at before it changes anything, and what each service says to the database, which is
 * taken back.
 */
export async function checkDatabase(
  { addresses }: MeshServers,
  { environment, secrets }: { environment: NodeJS.ProcessEnv; secrets: KnownSecrets },
): Promise<DatabaseCheck> {
  const { database: url, databaseSchema: schema, mesh } = addresses;
  const ownPrefix = mesh?.postgres.pid == null ? undefined : OWN_SERVER_PREFIX;
  const rolePrefix = environment.DATABASE_ROLE_PREFIX || ownPrefix;
  const given = givenUrls(environment);
  const passwords = secrets.postgres;
  const db = openOwner(url, schema);
  try {
    const { rows } = await sql<{ version: string }>`
      select current_setting('server_version') as version`.execute(db);
    const survey = await surveyOwner(db, {
      schema,
      rolePrefix,
      passwords: given ? {} : passwords,
    });
    const urls = given ?? ownUrls(url, survey.names, passwords);
    const problems = survey.problems.map((problem) => `the owner ${survey.user}: ${problem}`);
    if (urls !== undefined) problems.push(...(await checkServices(urls, schema)));
    return {
      at: describeDatabaseUrl(url),
      version: rows[0]!.version,
      users: [survey.user, ...(urls === undefined ? [] : ['gateway', 'counter'])],
      problems,
    };
  } catch (error) {
    throw new Error(`${describeDatabaseUrl(url)}: ${describeDatabaseError(error)}`, {
      cause: error,
    });
  } finally {
    // It waits for a server that does not answer.
    void db.destroy();
  }
}

/** Of roles that a DBA has made. */
function givenUrls(environment: NodeJS.ProcessEnv): ServiceUrls | undefined {
  const { GATEWAY_DATABASE_URL: gateway, COUNTER_DATABASE_URL: counter } = environment;
  return gateway && counter ? { gateway, counter } : undefined;
}

/** Of the roles that npm start has made; undefined where their passwords are not known. */
function ownUrls(
  url: string,
  names: RoleNames,
  { gateway, counter }: KnownSecrets['postgres'],
): ServiceUrls | undefined {
  if (gateway === undefined || counter === undefined) return undefined;
  return {
    gateway: withDatabaseUser(url, names.gateway, gateway),
    counter: withDatabaseUser(url, names.counter, counter),
  };
}
