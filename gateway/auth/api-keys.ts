import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { Value } from 'typebox/value';
import { ApiKeysFile, type ApiKey } from '../../schema/http/api-keys.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';

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
 * @throws ConfigurationError if the file can't be read at the start.
 */
export function openApiKeys(path: string, onProblem: (problem: string) => void): ApiKeys {
  let keys = readKeys(path);
  watchFile(path, { interval: WATCH_MS, persistent: false }, () => {
    try {
      keys = readKeys(path);
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

function readKeys(path: string): Map<string, ApiKey> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigurationError([
      `API_KEYS_FILE: ${path} can't be read: ${(error as Error).message}`,
    ]);
  }
  if (!Value.Check(ApiKeysFile, content)) {
    const faults = Value.Errors(ApiKeysFile, content).map(
      (fault) => `${fault.instancePath} ${fault.message}`,
    );
    throw new ConfigurationError(
      faults.slice(0, 10).map((fault) => `API_KEYS_FILE: ${path}: ${fault}`),
    );
  }
  return new Map(content.keys.map((key) => [key.sha256, key]));
}
