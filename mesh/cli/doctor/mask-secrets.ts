/** In place of a secret. */
export const MASK = '***';

/** A shorter one is also a part of other words, which would become unreadable. */
const SECRET_LENGTH_MIN = 4;

const SECRET_NAME = /(PASSWORD|PASSWD|TOKEN|SECRET|SEED|KEY|CREDENTIALS|HEADERS)$/i;
const SECRET_PARAMETER = /(password|passwd|token|secret)$/i;

/** What is secret by its form, wherever it stands; what comes before it stays. */
const FORMS: RegExp[] = [
  // A user name stays; what stands alone in a URL may be a token.
  /(\b[a-z][a-z0-9+.-]*:\/\/(?:[^\s/@:,"'<>]*:)?)[^\s"'<>]*(?=@)/gi,
  /(\b(?:bearer|basic)\s+)[\w.~+/=-]+/gi,
  /(\b[\w-]*(?:password|passwd|pwd|token|secret|api[-_]?key|authorization)["']?\s*[=:]\s*["']?)(?!bearer\s|basic\s)[^\s"'&,;]+/gi,
  /(-----BEGIN [A-Z ]*PRIVATE KEY-----)[^]*?(?=-----END|$)/g,
  /()\bimk_[\w-]{16,}/g,
  /()\bS[UAOCNX][A-Z2-7]{40,}\b/g,
  /()\beyJ[\w-]{10,}\.[\w-]+(?:\.[\w-]+)?/g,
];

/**
 * Makes a function that takes secrets out of a text: those that are known, however they are quoted, and
 * whatever has the form of one.
 */
export function createMask(secrets: Iterable<string>): (text: string) => string {
  const known = [...new Set([...secrets].flatMap(variantsOf))]
    .filter((secret) => secret.length >= SECRET_LENGTH_MIN)
    // A secret may be a part of a longer one.
    .toSorted((one, other) => other.length - one.length);
  return (text) => {
    let masked = text;
    for (const secret of known) masked = masked.replaceAll(secret, MASK);
    for (const form of FORMS) masked = masked.replaceAll(form, `$1${MASK}`);
    return masked;
  };
}

/** In every text of a value that JSON can have; names of fields are ours. */
export function maskAll<Value>(value: Value, mask: (text: string) => string): Value {
  if (typeof value === 'string') return mask(value) as Value;
  if (Array.isArray(value)) return value.map((one: unknown) => maskAll(one, mask)) as Value;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, one]) => [name, maskAll(one as unknown, mask)]);
  return Object.fromEntries(entries) as Value;
}

/** The values that a process's variables have to hide. */
export function findSecrets(environment: NodeJS.ProcessEnv): string[] {
  return Object.entries(environment).flatMap(([name, value = '']) => [
    ...(SECRET_NAME.test(name) ? [value] : []),
    ...secretsOfUrls(value),
  ]);
}

/** Passwords, and what stands alone before the host, of one URL or several separated by commas. */
export function secretsOfUrls(text: string): string[] {
  const found = [...text.matchAll(/\w:\/\/([^\s/?#]*)@/g)].flatMap(([, users = '']) =>
    users.split(/@[^,]*,(?:\w+:\/\/)?/),
  );
  const ofUsers = found.map((one) => (one.includes(':') ? one.slice(one.indexOf(':') + 1) : one));
  const ofParameters = [...text.matchAll(/[?&]([^=&\s]+)=([^&\s]*)/g)].flatMap(
    ([, name = '', value = '']) => (SECRET_PARAMETER.test(name) ? [value] : []),
  );
  return [...ofUsers, ...ofParameters];
}

/** As it is, as URLs and JSON have it, and what it is without their quoting. */
function variantsOf(secret: string): string[] {
  const plain = decode(secret);
  return [secret, plain].flatMap((one) => [
    one,
    encodeURIComponent(one),
    JSON.stringify(one).slice(1, -1),
  ]);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
