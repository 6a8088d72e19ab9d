import type { BrokerStatus } from './read-broker.ts';
import type { DatabaseStatus } from './read-database.ts';
import type { ServiceStatus } from './read-services.ts';

/** What `status` tells, and with `--json` as it stands here. */
export interface MeshStatus {
  /** What someone should do something about; empty where the mesh is well. */
  problems: string[];
  services: ServiceStatus[];
  broker: BrokerStatus | Away;
  database: DatabaseStatus | Away;
  /** The age of the oldest increment that is not yet committed; null where it can't be known. */
  stalenessMs: number | null;
}

/** A server that gives no answer, and why. */
export interface Away {
  away: string;
}
