import type { ApiKey } from '../../schema/http/api-keys.ts';
import { changeKeys } from './change-keys.ts';
import { EXIT, type Command } from './command.ts';
import { Refusal } from './errors.ts';
import { formatTime, readExpiry, readOverlap } from './key-times.ts';
import { describeSecret, FILE_HELP, fileOption, keyFileOf, makeSecret, warnOn } from './keys.ts';

/** `keys rotate` */
export const rotateKey: Command = {
  name: 'keys rotate',
  synopsis: 'NAME [--overlap 24h] [--expires 90d|DATE] [--file PATH]',
  summary: 'Gives an API key a new secret, while the old one stays valid for a time',
  help: `${FILE_HELP}
  --overlap     how long the old secret stays valid, by default 24h; 0 ends it now
  --expires     when the new secret expires; by default it lasts as long as the old one was made for

NAME keeps its scopes, rate limit and idempotency keys. It has at most two valid secrets.`,
  options: { ...fileOption, overlap: { type: 'string' }, expires: { type: 'string' } },
  words: { min: 1, max: 1 },
  run: async (context) => {
    const { options, print } = context;
    const [name = ''] = context.words;
    const now = Date.now();
    const overlapMs = readOverlap(String(options['overlap'] ?? '24h'));
    const expiresAt =
      options['expires'] === undefined ? undefined : readExpiry(String(options['expires']), now);
    const path = keyFileOf(context);
    const { secret, sha256 } = makeSecret();
    let own: ApiKey[] = [];
    const rotate = (keys: ApiKey[]) => {
      const rotated = rotateSecret(keys, name, { sha256, now, overlapMs, expiresAt });
      own = rotated.filter((key) => key.name === name);
      return rotated;
    };
    await changeKeys(path, rotate, warnOn(context));
    const expires = own.at(-1)?.expires ?? null;
    const oldUntil = own.at(-2)?.expires ?? null;
    print({ name, secret, file: path, expires, old_until: oldUntil }, () =>
      [
        `${name} has a new secret. It is shown only here:\n`,
        ...describeSecret(secret, path),
        oldUntil === null
          ? 'The old secret is no longer valid.'
          : `The old secret is valid until ${formatTime(oldUntil)} UTC.`,
      ].join('\n'),
    );
    return EXIT.fine;
  },
};

/**
 * Adds a secret to a name, as the last key; the one that was valid before expires after the overlap, and those
 * that have expired are removed.
 *
 * @param rotation `expiresAt` in milliseconds since 1970; if undefined, the secret lasts as long as the one
 * before was made for.
 * @throws Refusal if the name does not exist, or already has two valid secrets and the overlap would keep both.
 */
export function rotateSecret(
  keys: ApiKey[],
  name: string,
  rotation: { sha256: string; now: number; overlapMs: number; expiresAt: number | undefined },
): ApiKey[] {
  const { sha256, now, overlapMs, expiresAt } = rotation;
  const own = keys.filter((key) => key.name === name);
  const last = own.at(-1);
  if (last === undefined) throw new Refusal(`there is no key ${name}: make it with keys add`);
  const valid = own.filter(({ expires }) => expires === undefined || Date.parse(expires) > now);
  if (overlapMs > 0 && valid.length > 1) {
    const until = valid[0]?.expires;
    const end = until === undefined ? '' : ` until ${formatTime(until)} UTC`;
    throw new Refusal(
      `${name} has two valid secrets already${end}: rotate it after that, or with --overlap 0, which ` +
        'ends both at once',
    );
  }
  const end = expiresAt ?? expireAfterSameTime(last, now);
  const overlapEnd = now + overlapMs;
  const kept = overlapMs === 0 ? [] : valid.map((key) => expireBy(key, overlapEnd));
  const { expires: _, created: __, ...same } = last;
  const added: ApiKey = {
    ...same,
    sha256,
    created: new Date(now).toISOString(),
    ...(end !== undefined && { expires: new Date(end).toISOString() }),
  };
  return [...keys.filter((key) => key.name !== name), ...kept, added];
}

function expireAfterSameTime({ name, created, expires }: ApiKey, now: number): number | undefined {
  if (expires === undefined) return undefined;
  // Only a file that was edited by hand: a secret that silently never expires would be worse.
  if (created === undefined)
    throw new Refusal(`when ${name} was made is not in the file: give --expires`);
  return now + Date.parse(expires) - Date.parse(created);
}

function expireBy(key: ApiKey, at: number): ApiKey {
  const isSooner = key.expires !== undefined && Date.parse(key.expires) <= at;
  return isSooner ? key : { ...key, expires: new Date(at).toISOString() };
}
