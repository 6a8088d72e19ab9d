import { sql } from 'kysely';
import { onDatabase } from '../../schema/database/database.ts';
import { SERVICE_CONNECTIONS_MAX } from '../../schema/database/role-settings.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';
import type { MeshSettings } from './config.ts';

type Services = Pick<MeshSettings, 'GATEWAYS' | 'COUNTERS'>;

interface RoleLimit {
  role: string;
  /** Connections; -1 is no limit. */
  limit: number;
}

/**
 * Pure: whether so many services can connect to a PostgreSQL that is not ours. Each needs a connection at
 * least, and takes SERVICE_CONNECTIONS_MAX under load.
 */
export function compareConnections(
  services: Services,
  limits: Record<keyof Services, RoleLimit>,
): { problems: string[]; warnings: string[] } {
  const problems: string[] = [];
  const warnings: string[] = [];
  for (const name of ['GATEWAYS', 'COUNTERS'] as const) {
    const { role, limit } = limits[name];
    const count = services[name];
    const wanted = count * SERVICE_CONNECTIONS_MAX;
    if (limit < 0 || wanted <= limit) continue;
    const text =
      `${name} is ${count}, which takes ${wanted} connections, and the role ${role} may have ${limit}: raise ` +
      `max_connections of PostgreSQL and start again, or set ${name} to ${Math.floor(limit / SERVICE_CONNECTIONS_MAX)} at most`;
    (count > limit ? problems : warnings).push(text);
  }
  return { problems, warnings };
}

/** @throws ConfigurationError with all that can't work; what may not work under load is said. */
export async function checkConnections(
  urls: { gateway: string; counter: string },
  { services, say }: { services: Services; say: (line: string) => void },
): Promise<void> {
  const [gateway, counter] = await Promise.all([readLimit(urls.gateway), readLimit(urls.counter)]);
  const limits = { GATEWAYS: gateway, COUNTERS: counter };
  const { problems, warnings } = compareConnections(services, limits);
  if (problems.length > 0) throw new ConfigurationError(problems);
  warnings.forEach(say);
}

function readLimit(url: string): Promise<RoleLimit> {
  const query = sql<RoleLimit>`
    select rolname as role, rolconnlimit as "limit" from pg_roles where rolname = current_user`;
  const options = { name: 'increment-mesh start', queryTimeoutMs: 10_000 };
  return onDatabase(url, options, async (db) => (await query.execute(db)).rows[0]!);
}
