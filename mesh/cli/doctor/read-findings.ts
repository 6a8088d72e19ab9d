import type { MeshServers } from '../mesh-servers.ts';
import { readStatus } from '../status.ts';
import { findProblems } from '../status/find-problems.ts';

export interface Findings {
  isBrokerAway: boolean;
  /** What `status` finds wrong, one text each. */
  findings: string[];
}

export async function readFindings(servers: MeshServers): Promise<Findings> {
  const parts = await readStatus(servers);
  return {
    isBrokerAway: 'away' in parts.broker,
    findings: findProblems(parts, servers.addresses.mesh),
  };
}
