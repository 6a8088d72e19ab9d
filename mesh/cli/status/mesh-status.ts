import type { BrokerStatus } from './read-broker.ts';
import type { DatabaseStatus } from './read-database.ts';
import type { ServiceStatus } from './read-services.ts';

/** The answer of `status`; `--json` prints it as it is. */
export interface MeshStatus {
  /** What needs attention; empty if all is well. */
  problems: string[];
  services: ServiceStatus[];
  broker: BrokerStatus | Away;
  database: DatabaseStatus | Away;
  /** The age of the oldest increment that is not yet committed; null if it is unknown. */
  stalenessMs: number | null;
  /** Why counter services count nothing, where stream and database disagree; else null. */
  disagreement: string | null;
}

/** Why a server can't be reached. */
export interface Away {
  away: string;
}
