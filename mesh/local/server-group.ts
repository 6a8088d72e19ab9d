import { PreflightFailed } from '../../schema/database/preflight-failed.ts';
import { StartError } from '../servers/start-error.ts';
import type { MeshSettings } from './config.ts';
import type { DataFolder } from './data-folder.ts';
import type { RunAs } from './run-as.ts';
import type { Program } from './supervisor.ts';

/** Servers that the services connect to: our own, or existing ones. */
export interface ServerGroup<Urls> {
  /** Of existing servers and our own; roles of a database are known once it is provisioned. */
  readonly urls: Urls;
  /** Empty for existing servers. */
  programs: Program[];
  /** Makes what the services need in them; can be repeated. */
  provision(): Promise<void>;
}

export interface ServerContext {
  settings: MeshSettings;
  dataFolder: DataFolder;
  signal: AbortSignal;
  say: (line: string) => void;
  runAs: RunAs;
}

/**
 * Provisions an existing server.
 *
 * @param variable the setting that names it.
 * @throws StartError, since what that server refuses is for the user to change.
 */
export async function provisionExisting(
  variable: string,
  provision: () => Promise<void>,
  describe = (error: unknown) => (error as Error).message,
): Promise<void> {
  try {
    await provision();
  } catch (error) {
    // It names each problem by itself.
    if (error instanceof PreflightFailed) throw error;
    throw new StartError(`can't provision the server of ${variable}: ${describe(error)}`, {
      cause: error,
    });
  }
}
