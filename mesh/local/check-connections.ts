import { sql } from 'kysely';
import { openDatabase } from '../../schema/database/database.ts';
import { SERVICE_CONNECTIONS_MAX, SESSION_SETTINGS } from '../../schema/database/role-settings.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';
import type { MeshSettings } from './config.ts';

type Services = Pick<MeshSettings, 'GATEWAYS' | 'COUNTERS'>;
/** By role; -1 is no limit. */
type Limits = Record<string, number>;

const ROLES = { GATEWAYS: 'mesh_gateway', COUNTERS: 'mesh_counter' } as const;

/**
 * Pure: whether so many services can connect to a PostgreSQL that is not ours. Each needs a connection at
 * least, and takes SERVICE_CONNECTIONS_MAX under load.
 */
export function compareConnections(
  services: Services,
  limits: Limits,
): { problems: string[]; warnings: string[] } {
  const problems: string[] = [];
  const warnings: string[] = [];
  for (const name of ['GATEWAYS', 'COUNTERS'] as const) {
    const role = ROLES[name];
    const limit = limits[role] ?? -1;
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
  ownerUrl: string,
  { services, say }: { services: Services; say: (line: string) => void },
): Promise<void> {
  const { problems, warnings } = compareConnections(services, await readLimits(ownerUrl));
  if (problems.length > 0) throw new ConfigurationError(problems);
  warnings.forEach(say);
}

async function readLimits(ownerUrl: string): Promise<Limits> {
  const db = openDatabase(ownerUrl, {
    name: 'increment-mesh start',
    connectionsMax: 1,
    queryTimeoutMs: 10_000,
    settings: SESSION_SETTINGS,
    onBrokenConnection: () => undefined,
  });
  try {
    const { rows } = await sql<{ role: string; limit: number }>`
      select rolname as role, rolconnlimit as "limit" from pg_roles
      where rolname in (${sql.join(Object.values(ROLES))})`.execute(db);
    return Object.fromEntries(rows.map(({ role, limit }) => [role, limit]));
  } finally {
    await db.destroy();
  }
}
