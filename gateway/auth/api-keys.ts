import { hash } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { KEY_USES_MAX, useIdOf, type KeyUses } from '../../schema/message/key-uses.ts';
import { currentScope, type ApiKey, type Scope } from '../../schema/http/api-keys.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';
import { KeyFileError, readKeyFile } from './key-file.ts';

/** How often the file is checked for a change. */
const WATCH_MS = 500;

/** A key with the scopes that routes know. */
export interface GrantedKey extends ApiKey {
  scopes: Scope[];
}

export interface ApiKeys {
  /** The key of a valid secret; undefined if there is none, or if it has expired. */
  find: (secret: string) => GrantedKey | undefined;
  /** The key of a secret that has expired, to say so. */
  findExpired: (secret: string) => GrantedKey | undefined;
  /** A key that was found before, as the file has it now; undefined if its secret is gone or has expired. */
  readAgain: (key: ApiKey) => GrantedKey | undefined;
  /** When secrets were last used here, of those that were used most recently. */
  readUses: () => KeyUses;
  /** Calls back after each change of the keys. */
  onChange: (listener: (change: KeyChange) => void) => void;
  close: () => void;
}

/** An entry of the file, read for the path of a request. */
interface Entry {
  key: GrantedKey;
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** When a request last came with it, as Date.now(); 0 if none did. */
  usedAt: number;
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
  let entries = readEntries(path, onWarning);
  const listeners: ((change: KeyChange) => void)[] = [];
  const readChanges = () => {
    try {
      const before = entries;
      entries = readEntries(path, onWarning);
      for (const [sha256, entry] of entries) entry.usedAt = before.get(sha256)?.usedAt ?? 0;
      const change = compareKeys(keysOf(before), keysOf(entries));
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
      // Looked up by the hash, so that its duration reveals nothing of a secret.
      const entry = entries.get(hash('sha256', secret));
      // By the clock of each request: a timer would be wrong after the clock is set.
      const now = Date.now();
      if (entry === undefined || now >= entry.expiresAt) return undefined;
      entry.usedAt = now;
      return entry.key;
    },
    findExpired: (secret) => {
      const entry = entries.get(hash('sha256', secret));
      return entry !== undefined && Date.now() >= entry.expiresAt ? entry.key : undefined;
    },
    readAgain: ({ sha256 }) => {
      const entry = entries.get(sha256);
      return entry !== undefined && Date.now() < entry.expiresAt ? entry.key : undefined;
    },
    readUses: () => {
      const used = [...entries].filter(([, { usedAt }]) => usedAt > 0);
      const latest = used.toSorted(([, one], [, other]) => other.usedAt - one.usedAt);
      return Object.fromEntries(
        latest
          .slice(0, KEY_USES_MAX)
          .map(([sha256, { usedAt }]) => [useIdOf(sha256), Math.floor(usedAt / 60_000)]),
      );
    },
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

function keysOf(entries: Map<string, Entry>): ApiKey[] {
  return Array.from(entries.values(), ({ key }) => key);
}

function readEntries(path: string, onWarning: (warning: string) => void): Map<string, Entry> {
  try {
    const { keys, warnings } = readKeyFile(path);
    for (const warning of warnings) onWarning(`API_KEYS_FILE: ${warning}`);
    return new Map(keys.map((key) => [key.sha256, entryOf(key)]));
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    throw new ConfigurationError(error.faults.map((fault) => `API_KEYS_FILE: ${fault}`));
  }
}

function entryOf(key: ApiKey): Entry {
  return {
    key: { ...key, scopes: key.scopes.map(currentScope) },
    expiresAt: key.expires === undefined ? Infinity : Date.parse(key.expires),
    usedAt: 0,
  };
}
