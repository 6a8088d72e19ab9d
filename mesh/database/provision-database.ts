import { DEFAULT_SCHEMA } from '../../schema/database/database-names.ts';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import {
  migrate,
  openOwner,
  surveyOwner,
  type MigrateOptions,
} from '../../schema/database/migrate.ts';
import { PreflightFailed } from '../../schema/database/preflight-failed.ts';
import { checkServices, readUsers } from './check-services.ts';
import { describeProblem } from './describe-problem.ts';
import type { ServiceUrls } from './service-urls.ts';

export interface ProvisionOptions extends Omit<MigrateOptions, 'ownerUrl' | 'existingRoles'> {
  /** Undefined where a DBA makes schema, tables and roles. */
  ownerUrl: string | undefined;
  /** Of roles that a DBA has made; no role is made then. */
  serviceUrls: ServiceUrls | undefined;
}

export interface ProvisionedUrls extends ServiceUrls {
  /** Of who may only look. */
  reader: string;
}

/**
 * Looks for all that keeps the database from being used, as the owner and as the services, before it changes
 * anything; migrates; then runs as each service what that will run.
 *
 * @returns URLs that were just tried, and the reader's.
 * @throws PreflightFailed with all problems at once.
 */
export async function provisionDatabase(options: ProvisionOptions): Promise<ProvisionedUrls> {
  const { ownerUrl, serviceUrls } = options;
  const schema = options.schema ?? DEFAULT_SCHEMA;
  const { users, problems } =
    serviceUrls === undefined ? { users: {}, problems: [] } : await readUsers(serviceUrls, schema);
  const passwords = serviceUrls === undefined ? options.passwords : {};
  const migration = { ...options, passwords, existingRoles: users };
  if (ownerUrl !== undefined) problems.unshift(...(await findOwnerProblems(ownerUrl, migration)));
  if (problems.length > 0) throw new PreflightFailed(problems);

  const names = ownerUrl && (await migrate({ ...migration, ownerUrl }));
  const urls = serviceUrls ?? {
    gateway: asRole('gateway'),
    counter: asRole('counter'),
  };
  const left = await checkServices(urls, schema);
  if (left.length > 0) throw new PreflightFailed(left);
  return { ...urls, reader: passwords.reader === undefined ? urls.gateway : asRole('reader') };

  function asRole(role: 'gateway' | 'counter' | 'reader'): string {
    if (ownerUrl === undefined || !names)
      throw new TypeError('an owner or service URLs are needed');
    return withDatabaseUser(ownerUrl, names[role], passwords[role] ?? '');
  }
}

async function findOwnerProblems(
  ownerUrl: string,
  options: Omit<MigrateOptions, 'ownerUrl'>,
): Promise<string[]> {
  const db = openOwner(ownerUrl, options.schema ?? DEFAULT_SCHEMA);
  try {
    const { user, problems } = await surveyOwner(db, options);
    return problems.map((problem) => `the owner ${user}: ${problem}`);
  } catch (error) {
    return [describeProblem('the owner', ownerUrl, error)];
  } finally {
    await db.destroy();
  }
}
