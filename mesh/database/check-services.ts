import { randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import { checkDurability } from '../../counter/startup/check-database.ts';
import { probeWrites } from '../../counter/flush/probe-writes.ts';
import { selectCounters } from '../../gateway/reads/select-counters.ts';
import { readMessage } from '../../gateway/reads/message-routes.ts';
import { readDatabaseId } from '../../schema/database/database-id.ts';
import { onDatabase } from '../../schema/database/database.ts';
import { readParkedState } from '../../schema/database/parked-state.ts';
import { roleSettings } from '../../schema/database/role-settings.ts';
import { checkSchema } from '../../schema/database/schema-version.ts';
import type { Database } from '../../schema/database/tables.ts';
import { describeProblem } from './describe-problem.ts';
import type { ServiceUrls } from './service-urls.ts';

type Service = keyof ServiceUrls;

const QUERY_TIMEOUT_MS = 10_000;

/** What each service says to the database in operation; a flush is taken back. */
const STATEMENTS: Record<Service, (db: Kysely<Database>) => Promise<unknown>> = {
  gateway: async (db) => {
    await readDatabaseId(db);
    await selectCounters(db, [randomUUID()]);
    await readMessage(db, randomUUID());
    await readParkedState(db);
  },
  counter: async (db) => {
    await checkDurability(db);
    await probeWrites(db);
  },
};

/**
 * Runs as each service what that will run.
 *
 * @returns why it can't, each with the user, the SQLSTATE and what to do; empty if both can work.
 * @throws the error of a server that can't be reached now.
 */
export async function checkServices(urls: ServiceUrls, schema: string): Promise<string[]> {
  const services = Object.keys(STATEMENTS) as Service[];
  const found = await Promise.all(
    services.map((service) =>
      asService(service, { url: urls[service], schema }, async (db) => {
        await checkSchema(db);
        await STATEMENTS[service](db);
      }),
    ),
  );
  return found.flat();
}

async function asService(
  service: Service,
  { url, schema }: { url: string; schema: string },
  act: (db: Kysely<Database>) => Promise<void>,
): Promise<string[]> {
  const options = {
    name: 'increment-mesh check',
    queryTimeoutMs: QUERY_TIMEOUT_MS,
    settings: roleSettings(service, schema),
  };
  try {
    await onDatabase(url, options, act);
    return [];
  } catch (error) {
    return [describeProblem(`the ${service}'s user`, url, error)];
  }
}

/** The users of service URLs, and why some can't connect. */
export async function readUsers(
  urls: ServiceUrls,
  schema: string,
): Promise<{ users: Partial<ServiceUrls>; problems: string[] }> {
  const users: Partial<ServiceUrls> = {};
  const problems: string[] = [];
  for (const service of Object.keys(urls) as Service[]) {
    const found = await asService(service, { url: urls[service], schema }, async (db) => {
      const { rows } = await sql<{ user: string }>`select current_user::text as user`.execute(db);
      users[service] = rows[0]!.user;
    });
    problems.push(...found);
  }
  return { users, problems };
}
