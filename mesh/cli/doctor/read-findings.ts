import type { Finding } from '../../../telemetry/diagnosis/findings.ts';
import type { MeshServers } from '../mesh-servers.ts';
import { diagnoseStatus } from '../status/diagnose-status.ts';
import { isAway } from '../status/mesh-status.ts';
import { readStatus } from '../status/read-status.ts';

export interface Findings {
  isBrokerAway: boolean;
  /** What `status` finds wrong, the headline first. */
  findings: Finding[];
}

export async function readFindings(servers: MeshServers): Promise<Findings> {
  const parts = await readStatus(servers);
  return {
    isBrokerAway: isAway(parts.broker),
    findings: diagnoseStatus(parts, servers.addresses.mesh),
  };
}
