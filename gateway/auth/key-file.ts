import { Value } from 'typebox/value';
import { ApiKeysFile, type ApiKey } from '../../schema/http/api-keys.ts';
import { readPrivateFile } from '../../schema/settings/private-file.ts';

/** 10 000 keys are less than 4 MB. */
const BYTES_MAX = 16 * 1024 * 1024;
const FAULTS_SHOWN_MAX = 10;

/** What is wrong with a file of API keys: sentences that name it. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
  readonly faults: string[];

  constructor(faults: string[], options?: ErrorOptions) {
    super(faults.join('; '), options);
    this.faults = faults;
  }
}

export interface KeyFile {
  keys: ApiKey[];
  /** Sentences about who else has a say in the file, each with a command to paste. */
  warnings: string[];
}

/**
 * @throws KeyFileError where it can't be read, has something else in it, or can be changed by others, who
 *   could give themselves a key. Its `cause` has the code of the system, such as ENOENT.
 */
export function readKeyFile(path: string): KeyFile {
  const { content, problem, cause, warnings } = readPrivateFile(path, BYTES_MAX);
  if (content === undefined) throw new KeyFileError([problem ?? path], { cause });
  return { keys: parseKeys(path, content), warnings };
}

function parseKeys(path: string, text: string): ApiKey[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw unreadable(path, error as Error);
  }
  if (Value.Check(ApiKeysFile, content)) return content.keys;
  const faults = Value.Errors(ApiKeysFile, content).map(
    ({ instancePath, message }) => `${path}: ${instancePath} ${message}`,
  );
  throw new KeyFileError(faults.slice(0, FAULTS_SHOWN_MAX));
}

function unreadable(path: string, cause: Error): KeyFileError {
  return new KeyFileError([`${path} can't be read: ${cause.message}`], { cause });
}
