import { join } from 'node:path';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { OWN_SERVER_PREFIX } from '../../schema/database/database-names.ts';
import { connectionsFor } from '../../schema/database/role-settings.ts';
import { OWNER, setUpServer } from '../../schema/database/set-up-server.ts';
import { provisionDatabase, type ProvisionedUrls } from '../database/provision-database.ts';
import { readServiceUrls } from '../database/service-urls.ts';
import { launchPostgres, postgresUrl, untilPostgresAnswers } from '../servers/postgres.ts';
import { StartError } from '../servers/start-error.ts';
import { checkConnections } from './check-connections.ts';
import type { DataFolder } from './data-folder.ts';
import { boundPostgresLog, POSTGRES_LOG_FOLDER, POSTGRES_LOG_SETTINGS } from './postgres-log.ts';
import { provisionExisting, type ServerContext, type ServerGroup } from './server-group.ts';
import { STOP_STEPS } from './stop-steps.ts';
import type { Program } from './supervisor.ts';

export interface DatabaseUrls extends ProvisionedUrls {
  /** For commands; where no owner is known, the counter services'. */
  owner: string;
}

export function postgresServer(context: ServerContext, port: number): ServerGroup<DatabaseUrls> {
  const { settings, dataFolder, signal, say } = context;
  const { superuser, owner: ownerPassword, gateway, counter, reader } = dataFolder.secrets.postgres;
  const options = {
    folder: dataFolder.postgres,
    logFile: join(dataFolder.logs, 'postgres.log'),
    ownLogFolder: join(dataFolder.postgres, POSTGRES_LOG_FOLDER),
    port,
    password: superuser,
    settings: [
      `max_connections=${connectionsFor(Math.max(settings.GATEWAYS, settings.COUNTERS))}`,
      ...POSTGRES_LOG_SETTINGS,
    ],
    signal,
  };
  const superuserUrl = postgresUrl(options);
  const serviceUrls = readServiceUrls(settings);
  const isExisting = settings.DATABASE_URL !== undefined || serviceUrls !== undefined;
  const { DATABASE_SCHEMA: schema, DATABASE_ROLE_PREFIX: rolePrefix } = settings;
  const ownerUrl = isExisting
    ? settings.DATABASE_URL
    : withDatabaseUser(superuserUrl, OWNER, ownerPassword);
  let provisioned: DatabaseUrls | undefined;
  const provision = async () => {
    const urls = await provisionDatabase({
      ownerUrl,
      schema,
      rolePrefix: rolePrefix ?? (isExisting ? undefined : OWN_SERVER_PREFIX),
      serviceUrls,
      passwords: { gateway, counter, reader },
      say: (line) => say(`PostgreSQL: ${line}`),
    });
    provisioned = { ...urls, owner: ownerUrl ?? urls.counter };
  };
  const readUrls = () => {
    if (provisioned === undefined) throw new TypeError('the database is not provisioned');
    return provisioned;
  };
  if (isExisting) {
    return {
      get urls() {
        return readUrls();
      },
      programs: [],
      provision: async () => {
        await provisionExisting('DATABASE_URL', provision, describeDatabaseError);
        await checkConnections(readUrls(), { services: settings, say });
      },
    };
  }

  const program: Program = {
    name: 'PostgreSQL',
    launch: async (beforeRun) => {
      const server = await launchPostgres(options, beforeRun);
      boundPostgresLog(options.ownLogFolder, server.exited);
      return server;
    },
    ready: (server) => untilPostgresAnswers(server, options),
    stopSteps: STOP_STEPS.postgres,
    // Immediate shutdown, which ends its children too; they would outlive a SIGKILL for a moment.
    endAtOnce: 'SIGQUIT',
  };
  return {
    get urls() {
      return readUrls();
    },
    programs: [program],
    provision: async () => {
      await setUpServer({ superuserUrl, ownerPassword, schema, rolePrefix }).catch(
        explainPasswords(dataFolder),
      );
      await provision();
    },
  };
}

function explainPasswords({ path, postgres }: DataFolder): (error: unknown) => never {
  return (error) => {
    if ((error as { code?: string }).code !== '28P01') throw error;
    throw new StartError(
      `PostgreSQL refuses the passwords of ${join(path, 'secrets.json')} (${(error as Error).message}): ` +
        `bring back the file that belongs to ${postgres}, or choose another DATA_DIR`,
      { cause: error },
    );
  };
}
