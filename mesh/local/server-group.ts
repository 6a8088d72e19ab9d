import type { MeshSettings } from './config.ts';
import type { DataFolder } from './data-folder.ts';
import { StartError } from '../servers/start-error.ts';
import type { Program } from './supervisor.ts';

/** Servers that the services connect to: some of our own, or some that exist already. */
export interface ServerGroup<Urls> {
  urls: Urls;
  /** Empty where somebody else runs them. */
  programs: Program[];
  /** Makes what the services need in them; can be repeated. */
  prepare(): Promise<void>;
}

export interface ServerContext {
  settings: MeshSettings;
  dataFolder: DataFolder;
  signal: AbortSignal;
  say: (line: string) => void;
}

/** What somebody else's server refuses is for its user to change, so no stack is shown. */
export async function explained(
  variable: string,
  prepare: () => Promise<void>,
  describe = (error: unknown) => (error as Error).message,
): Promise<void> {
  try {
    await prepare();
  } catch (error) {
    throw new StartError(`the server of ${variable} can't be prepared: ${describe(error)}`, {
      cause: error,
    });
  }
}
