import { join } from 'node:path';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { migrate } from '../../schema/database/migrate.ts';
import { connectionsFor } from '../../schema/database/role-settings.ts';
import { OWNER, setUpServer } from '../../schema/database/set-up-server.ts';
import { launchPostgres, postgresUrl, untilPostgresAnswers } from '../servers/postgres.ts';
import { StartError } from '../servers/start-error.ts';
import { checkConnections } from './check-connections.ts';
import type { DataFolder } from './data-folder.ts';
import { provisionExisting, type ServerContext, type ServerGroup } from './server-group.ts';
import { STOP_STEPS } from './stop-steps.ts';
import type { Program } from './supervisor.ts';

export function postgresServer(
  context: ServerContext,
  port: number,
): ServerGroup<Record<'owner' | 'gateway' | 'counter', string>> {
  const { settings, dataFolder, signal, say } = context;
  const { superuser, owner: ownerPassword, gateway, counter, reader } = dataFolder.secrets.postgres;
  const options = {
    folder: dataFolder.postgres,
    logFile: join(dataFolder.logs, 'postgres.log'),
    port,
    password: superuser,
    settings: [`max_connections=${connectionsFor(Math.max(settings.GATEWAYS, settings.COUNTERS))}`],
    signal,
  };
  const superuserUrl = postgresUrl(options);
  const owner = settings.DATABASE_URL ?? withDatabaseUser(superuserUrl, OWNER, ownerPassword);
  const urls = {
    owner,
    gateway: withDatabaseUser(owner, 'mesh_gateway', gateway),
    counter: withDatabaseUser(owner, 'mesh_counter', counter),
  };
  const provision = () =>
    migrate({
      ownerUrl: owner,
      gatewayPassword: gateway,
      counterPassword: counter,
      readerPassword: reader,
      say: (line) => say(`PostgreSQL: ${line}`),
    });
  if (settings.DATABASE_URL !== undefined) {
    return {
      urls,
      programs: [],
      provision: async () => {
        await provisionExisting('DATABASE_URL', provision, describeDatabaseError);
        await checkConnections(owner, { services: settings, say });
      },
    };
  }

  const program: Program = {
    name: 'PostgreSQL',
    launch: (beforeRun) => launchPostgres(options, beforeRun),
    ready: (server) => untilPostgresAnswers(server, options),
    stopSteps: STOP_STEPS.postgres,
    // Immediate shutdown, which ends its children too; they would outlive a SIGKILL for a moment.
    endAtOnce: 'SIGQUIT',
  };
  return {
    urls,
    programs: [program],
    provision: async () => {
      await setUpServer({ superuserUrl, ownerPassword }).catch(explainPasswords(dataFolder));
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
