import { join } from 'node:path';
import { withDatabaseUser } from '../../schema/database/database-url.ts';
import { describeDatabaseError } from '../../schema/database/describe-database-error.ts';
import { migrate } from '../../schema/database/migrate.ts';
import { launchPostgres, postgresUrl, untilPostgresAnswers } from '../servers/postgres.ts';
import { provisionExisting, type ServerContext, type ServerGroup } from './server-group.ts';
import { STOP_STEPS } from './stop-steps.ts';
import type { Program } from './supervisor.ts';

export function postgresServer(
  context: ServerContext,
  port: number,
): ServerGroup<Record<'owner' | 'gateway' | 'counter', string>> {
  const { settings, dataFolder, signal } = context;
  const { owner: password, gateway, counter } = dataFolder.secrets.postgres;
  const options = {
    folder: dataFolder.postgres,
    logFile: join(dataFolder.logs, 'postgres.log'),
    port,
    password,
    signal,
  };
  const owner = settings.DATABASE_URL ?? postgresUrl(options);
  const urls = {
    owner,
    gateway: withDatabaseUser(owner, 'mesh_gateway', gateway),
    counter: withDatabaseUser(owner, 'mesh_counter', counter),
  };
  const provision = () =>
    migrate({ ownerUrl: owner, gatewayPassword: gateway, counterPassword: counter });
  if (settings.DATABASE_URL !== undefined) {
    return {
      urls,
      programs: [],
      provision: () => provisionExisting('DATABASE_URL', provision, describeDatabaseError),
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
  return { urls, programs: [program], provision };
}
