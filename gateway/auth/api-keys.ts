import { createHash, timingSafeEqual } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import type { ApiKey } from '../../schema/http/api-keys.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';
import { KeyFileError, readKeyFile } from './key-file.ts';

/** How often the file is checked for a change. */
const WATCH_MS = 500;

export interface ApiKeys {
  /** The key of a secret; undefined if there is none. */
  find: (secret: string) => ApiKey | undefined;
  /** A key that was found before, as the file has it now; undefined if its secret is gone. */
  readAgain: (key: ApiKey) => ApiKey | undefined;
  /** Calls back after each change of the keys. */
  onChange: (listener: (change: KeyChange) => void) => void;
  close: () => void;
}

/** The names of the keys that a change of the file concerns. */
export interface KeyChange {
  added: string[];
  removed: string[];
  /** Those with another secret, other scopes or another limit. */
  changed: string[];
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
  const listeners: ((change: KeyChange) => void)[] = [];
  const readChanges = () => {
    try {
      const before = keys;
      keys = readKeys(path, onWarning);
      const change = compareKeys([...before.values()], [...keys.values()]);
      if (Object.values(change).some((names) => names.length > 0))
        for (const listener of listeners) listener(change);
    } catch (error) {
      onProblem((error as Error).message);
    }
  };
  watchFile(path, { interval: WATCH_MS, persistent: false }, readChanges);
  // What changes before its first look would not be seen.
  const afterFirstLook = setTimeout(readChanges, WATCH_MS).unref();
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
    readAgain: ({ sha256 }) => keys.get(sha256),
    onChange: (listener) => listeners.push(listener),
    close: () => {
      clearTimeout(afterFirstLook);
      unwatchFile(path);
    },
  };
}

/** A name may have several keys, so what it has is compared as a whole. */
export function compareKeys(before: ApiKey[], after: ApiKey[]): KeyChange {
  const [old, current] = [before, after].map(
    (keys) =>
      new Map(
        Object.entries(Object.groupBy(keys, ({ name }) => name)).map(([name, group = []]) => [
          name,
          JSON.stringify(group.toSorted((one, other) => (one.sha256 < other.sha256 ? -1 : 1))),
        ]),
      ),
  ) as [Map<string, string>, Map<string, string>];
  const names = [...current.keys()];
  return {
    added: names.filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !current.has(name)),
    changed: names.filter((name) => old.has(name) && old.get(name) !== current.get(name)),
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
