import { createHash, timingSafeEqual } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import type { ApiKey } from '../../schema/http/api-keys.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';
import { KeyFileError, readKeyFile } from './key-file.ts';

/** How often the file is checked for a change. */
const WATCH_MS = 1_000;

export interface ApiKeys {
  /** The key of a secret; undefined if there is none. */
  find: (secret: string) => ApiKey | undefined;
  close: () => void;
}

/**
 * Reads a file of API keys, and again when it changes. A change that can't be read is reported, and the
 * keys stay as they were.
 *
 * @param onWarning called with what others can do with the file, at each read.
 * @throws ConfigurationError if the file can't be read at the start, or others can change it.
 */
export function openApiKeys(
  path: string,
  onProblem: (problem: string) => void,
  onWarning: (warning: string) => void = () => {},
): ApiKeys {
  let keys = readKeys(path, onWarning);
  watchFile(path, { interval: WATCH_MS, persistent: false }, () => {
    try {
      keys = readKeys(path, onWarning);
    } catch (error) {
      onProblem((error as Error).message);
    }
  });
  return {
    find: (secret) => {
      const hash = createHash('sha256').update(secret).digest();
      const key = keys.get(hash.toString('hex'));
      // Looked up by the hash, so that its duration reveals nothing; compared in constant time all the
      // same.
      return key !== undefined && timingSafeEqual(Buffer.from(key.sha256, 'hex'), hash)
        ? key
        : undefined;
    },
    close: () => unwatchFile(path),
  };
}

function readKeys(path: string, onWarning: (warning: string) => void): Map<string, ApiKey> {
  try {
    const { keys, warnings } = readKeyFile(path);
    for (const warning of warnings) onWarning(`API_KEYS_FILE: ${warning}`);
    return new Map(keys.map((key) => [key.sha256, key]));
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    throw new ConfigurationError(error.faults.map((fault) => `API_KEYS_FILE: ${fault}`));
  }
}
