import type { Finding } from '../../../telemetry/diagnosis/findings.ts';
import type { BrokerStatus } from './read-broker.ts';
import type { DatabaseStatus } from './read-database.ts';
import type { ServiceStatus } from './read-services.ts';

/** The answer of `status`; `--json` prints it as it is. */
export interface MeshStatus extends MeshParts {
  /** What is wrong, the headline first; empty if all is well. */
  findings: Finding[];
}

/** What was read of a mesh, each part by itself. */
export interface MeshParts {
  services: ServiceStatus[] | Away;
  broker: BrokerStatus | Away;
  database: DatabaseStatus | Away;
  replicas: ReplicasStatus | Away;
  /** The age of the oldest increment that is not yet committed; null if it is unknown. */
  stalenessMs: number | null;
  /** Why counter services count nothing, where stream and database disagree; else null. */
  disagreement: string | null;
}

/** Which replicas are not current, as `INCREMENTS 2 of 3 (nats-2 is away)`; null if all are. */
export interface ReplicasStatus {
  behind: string | null;
}

/** Why something can't be read. */
export interface Away {
  away: string;
  /** It does not answer; otherwise it can't be reached, or refuses. */
  isSilent: boolean;
}

export function isAway(part: object): part is Away {
  return 'away' in part;
}
