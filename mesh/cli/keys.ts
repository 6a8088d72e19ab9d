import { hash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Value } from 'typebox/value';
import { quoteForShell } from '../../schema/quote-for-shell.ts';
import { ApiKey, currentScope } from '../../schema/http/api-keys.ts';
import { useIdOf } from '../../schema/message/key-uses.ts';
import { changeKeys, readKeys } from './change-keys.ts';
import { EXIT, type Command, type CommandContext } from './command.ts';
import { Refusal, UsageError } from './errors.ts';
import { formatTime, readExpiry } from './key-times.ts';
import { readKeyUses } from './key-uses.ts';
import { formatTable } from './table.ts';

/** 256 bits can't be guessed; secret scanners find the prefix. */
const SECRET_BYTES = 32;
const SECRET_PREFIX = 'imk_';

/** What every command about keys says of their file. */
export const FILE_HELP = `
The file has the SHA-256 of each secret, never the secret. Gateways with API_KEYS_FILE read it again
within two seconds of a change. It is made with mode 600, and one that others can change is refused.

  --file PATH   the file; by default that of API_KEYS_FILE, or api-keys.json in DATA_DIR`;

export const fileOption = { file: { type: 'string' } } as const;

const SCOPES = 'write,read,operate';

/** `keys add` */
export const addKey: Command = {
  name: 'keys add',
  synopsis: `NAME --scopes ${SCOPES} [--rate-limit N] [--expires 90d|DATE] [--file PATH]`,
  summary: 'Makes an API key and shows its secret, once',
  help: `${FILE_HELP}
  --scopes      what it may do: write (increment), read (counters, console), operate (act on the mesh,
                and the console)
  --rate-limit  requests in a window, instead of RATE_LIMIT_MAX; a batch is one
  --expires     when it ends: 90d or 12h from now, or a date or time in UTC, such as 2030-01-31

NAME says who has the key: rate limits and idempotency keys belong to it. Adding a NAME that exists
makes it anew: its old secrets are no longer valid. keys rotate keeps the old one for a time.`,
  options: {
    ...fileOption,
    scopes: { type: 'string' },
    'rate-limit': { type: 'string' },
    expires: { type: 'string' },
  },
  words: { min: 1, max: 1 },
  run: async (context) => {
    const { words, options, print } = context;
    const { 'rate-limit': limit, expires } = options;
    const scopes = String(options['scopes'] ?? '').split(',');
    if (scopes.includes('admin'))
      throw new UsageError(
        'the scope admin is now operate, which may also clear a counter: --scopes operate',
      );
    const now = Date.now();
    const { secret, sha256 } = makeSecret();
    const key: unknown = {
      name: words[0],
      sha256,
      scopes,
      ...(limit !== undefined && { rate_limit_max: Number(limit) }),
      created: new Date(now).toISOString(),
      ...(expires !== undefined && {
        expires: new Date(readExpiry(String(expires), now)).toISOString(),
      }),
    };
    if (!Value.Check(ApiKey, key)) {
      throw new UsageError(
        'NAME must be 1 to 64 letters, digits, dots, dashes or underscores, --scopes some of ' +
          `${SCOPES} and --rate-limit a number from 1`,
      );
    }
    const path = keyFileOf(context);
    const withKey = (keys: ApiKey[]) => [...keys.filter(({ name }) => name !== key.name), key];
    await changeKeys(path, withKey, warnOn(context));
    print({ name: key.name, secret, file: path, expires: key.expires ?? null }, () =>
      [
        `${key.name} may ${key.scopes.join(', ')}. Its secret is shown only here:\n`,
        ...describeSecret(secret, path),
        ...(key.expires === undefined ? [] : [`It expires at ${formatTime(key.expires)} UTC.`]),
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
  help: `${FILE_HELP}

LAST USED is what the gateways that run have seen since their start, to the minute; each tells of the 500
secrets that it saw last. Where no mesh answers, it is a dash.`,
  options: fileOption,
  run: async (context) => {
    const path = keyFileOf(context);
    const now = Date.now();
    const found = readKeys(path, warnOn(context));
    const uses = await readKeyUses(context.servers);
    const keys = found.map((key) => ({
      name: key.name,
      scopes: key.scopes.map(currentScope),
      rate_limit_max: key.rate_limit_max ?? null,
      created: key.created ?? null,
      expires: key.expires ?? null,
      is_expired: key.expires !== undefined && Date.parse(key.expires) <= now,
      last_used: timeOf(uses.get(useIdOf(key.sha256))),
    }));
    const rows = keys.map((key) => [
      key.name,
      key.scopes.join(','),
      String(key.rate_limit_max ?? '—'),
      formatTime(key.created),
      `${formatTime(key.expires)}${key.is_expired ? ' (expired)' : ''}`,
      formatTime(key.last_used),
    ]);
    context.print({ file: path, keys }, () =>
      keys.length === 0
        ? `There are no keys in ${path}.`
        : formatTable(rows, [
            'NAME',
            'SCOPES',
            'RATE LIMIT',
            'CREATED (UTC)',
            'EXPIRES',
            'LAST USED',
          ]),
    );
    return EXIT.fine;
  },
};

/** `keys revoke` */
export const revokeKey: Command = {
  name: 'keys revoke',
  synopsis: 'NAME [--file PATH]',
  summary: 'Revokes an API key, with all its secrets',
  help: FILE_HELP,
  options: fileOption,
  words: { min: 1, max: 1 },
  run: async (context) => {
    const path = keyFileOf(context);
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

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

export function makeSecret(): { secret: string; sha256: string } {
  const secret = `${SECRET_PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return { secret, sha256: hash('sha256', secret) };
}

/** Lines that show a secret and how it is used. */
export function describeSecret(secret: string, path: string): string[] {
  return [
    `  ${secret}\n`,
    `Send it as   authorization: Bearer ${secret}`,
    `Gateways accept it with   API_KEYS_FILE=${quoteForShell(path)}`,
  ];
}

export function keyFileOf({ options, terminal }: CommandContext): string {
  const { API_KEYS_FILE: fromEnvironment, DATA_DIR: dataDir } = terminal.environment;
  return String(options['file'] ?? (fromEnvironment || join(dataDir || '.mesh', 'api-keys.json')));
}

export function warnOn({ terminal }: CommandContext): (warning: string) => void {
  return (warning) => terminal.writeError(`warning: ${warning}\n`);
}
