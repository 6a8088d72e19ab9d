import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Value } from 'typebox/value';
import { quoteForShell } from '../../schema/quote-for-shell.ts';
import { ApiKey } from '../../schema/http/api-keys.ts';
import { changeKeys, readKeys } from './change-keys.ts';
import { EXIT, type Command, type CommandContext } from './command.ts';
import { Refusal, UsageError } from './errors.ts';
import { formatTable } from './table.ts';

/** 256 bits can't be guessed; secret scanners find the prefix. */
const SECRET_BYTES = 32;
const SECRET_PREFIX = 'imk_';

const FILE_HELP = `
The file has the SHA-256 of each secret, never the secret. Gateways with API_KEYS_FILE read it again
within two seconds of a change. It is made with mode 600, and one that others can change is refused.

  --file PATH   the file; by default that of API_KEYS_FILE, or api-keys.json in DATA_DIR`;

const file = { file: { type: 'string' } } as const;

/** `keys add` */
export const addKey: Command = {
  name: 'keys add',
  synopsis: 'NAME --scopes write,read,admin [--rate-limit N] [--file PATH]',
  summary: 'Makes an API key and shows its secret, once',
  help: `${FILE_HELP}
  --scopes      what it may do: write (increment), read (counters), admin
  --rate-limit  requests in a window, instead of RATE_LIMIT_MAX

NAME says who has the key: rate limits and idempotency keys belong to it. Adding a NAME that exists
gives it a new secret; the old one is no longer valid.`,
  options: { ...file, scopes: { type: 'string' }, 'rate-limit': { type: 'string' } },
  words: { min: 1, max: 1 },
  run: async (context) => {
    const { words, options, print } = context;
    const secret = `${SECRET_PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`;
    const limit = options['rate-limit'];
    const key: unknown = {
      name: words[0],
      sha256: createHash('sha256').update(secret).digest('hex'),
      scopes: String(options['scopes'] ?? '').split(','),
      ...(limit !== undefined && { rate_limit_max: Number(limit) }),
    };
    if (!Value.Check(ApiKey, key)) {
      throw new UsageError(
        'NAME must be 1 to 64 letters, digits, dots, dashes or underscores, --scopes some of ' +
          'write,read,admin and --rate-limit a number from 1',
      );
    }
    const path = pathOf(context);
    const withKey = (keys: ApiKey[]) => [...keys.filter(({ name }) => name !== key.name), key];
    await changeKeys(path, withKey, warnOn(context));
    print({ name: key.name, secret, file: path }, () =>
      [
        `${key.name} may ${key.scopes.join(', ')}. Its secret is shown only here:\n`,
        `  ${secret}\n`,
        `Send it as   authorization: Bearer ${secret}`,
        `Gateways accept it with   API_KEYS_FILE=${quoteForShell(path)}`,
      ].join('\n'),
    );
    return EXIT.fine;
  },
};

/** `keys list` */
export const listKeys: Command = {
  name: 'keys list',
  synopsis: '[--file PATH]',
  summary: 'Lists API keys, without their secrets',
  help: FILE_HELP,
  options: file,
  run: (context) => {
    const path = pathOf(context);
    const keys = readKeys(path, warnOn(context)).map(({ name, scopes, rate_limit_max: limit }) => ({
      name,
      scopes,
      rate_limit_max: limit ?? null,
    }));
    const rows = keys.map(({ name, scopes, rate_limit_max: limit }) => [
      name,
      scopes.join(','),
      limit === null ? '' : String(limit),
    ]);
    context.print({ file: path, keys }, () =>
      keys.length === 0
        ? `There are no keys in ${path}.`
        : formatTable(rows, ['NAME', 'SCOPES', 'RATE LIMIT']),
    );
    return EXIT.fine;
  },
};

/** `keys revoke` */
export const revokeKey: Command = {
  name: 'keys revoke',
  synopsis: 'NAME [--file PATH]',
  summary: 'Revokes an API key',
  help: FILE_HELP,
  options: file,
  words: { min: 1, max: 1 },
  run: async (context) => {
    const path = pathOf(context);
    const [name] = context.words;
    const withoutKey = (keys: ApiKey[]) => {
      const left = keys.filter((key) => key.name !== name);
      if (left.length === keys.length) throw new Refusal(`there is no key ${name} in ${path}`);
      return left;
    };
    await changeKeys(path, withoutKey, warnOn(context));
    context.print({ revoked: name, file: path }, () => `${name} is revoked.`);
    return EXIT.fine;
  },
};

function pathOf({ options, terminal }: CommandContext): string {
  const { API_KEYS_FILE: fromEnvironment, DATA_DIR: dataDir } = terminal.environment;
  return String(options['file'] ?? (fromEnvironment || join(dataDir || '.mesh', 'api-keys.json')));
}

function warnOn({ terminal }: CommandContext): (warning: string) => void {
  return (warning) => terminal.writeError(`warning: ${warning}\n`);
}
