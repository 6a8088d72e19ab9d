import { NoAnswer } from './errors.ts';
import type { MeshServers } from './mesh-servers.ts';
import { readServices } from './status/read-services.ts';

/**
 * Asks the gateways that run when secrets were last used.
 *
 * @returns times in milliseconds since 1970, to the minute, by the id of a secret's use; empty where no mesh
 * answers.
 */
export async function readKeyUses(servers: MeshServers): Promise<Map<string, number>> {
  const uses = new Map<string, number>();
  try {
    for (const service of await readServices(await servers.nats('inspector'))) {
      if (service.name !== 'gateway') continue;
      for (const [id, minute] of Object.entries(service.stats.key_uses ?? {}))
        uses.set(id, Math.max(uses.get(id) ?? 0, minute * 60_000));
    }
  } catch (error) {
    // Keys are listed where no mesh runs, too.
    if (!(error instanceof NoAnswer)) throw error;
  }
  return uses;
}
