import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { Type, type Static } from 'typebox';
import { isLikeSecret, SECRET_AS_PATH } from '../schema/settings/private-file.ts';
import type { NatsRole } from './roles.ts';
import { parseNatsUrl } from './nats-url.ts';
import {
  judgeSecretFile,
  fileOfRole,
  type NatsSecretFile,
  type SecretKind,
} from './secret-file.ts';

const PREFIX_PATTERN = String.raw`^[^\s.*>]+(\.[^\s.*>]+)*$`;
const TOKEN_PATTERN = '^[A-Za-z0-9_-]{1,64}$';

/**
 * The settings by which every program reaches the brokers, beside their URL. In the name of a file, `{role}`
 * stands for the role that connects, so that one environment serves all.
 */
export const NatsAccessSettings = {
  NATS_CREDS_FILE: file(
    'Credentials file: the JWT of a user and its nkey seed. `{role}` in the names of these files is gateway, counter, provisioner or inspector',
  ),
  NATS_NKEY_SEED_FILE: file('File of an nkey seed, for brokers that know users by nkey'),
  NATS_TOKEN_FILE: file('File of a token, for brokers that take one'),
  NATS_CA_FILE: file(
    "Certificate (PEM) of the authority that signed the brokers' certificates; turns TLS on",
  ),
  NATS_CERT_FILE: file('Own certificate (PEM), for brokers that verify clients'),
  NATS_KEY_FILE: file('Its private key (PEM)'),
  NATS_INBOX_PREFIX: Type.Optional(
    Type.String({
      pattern: PREFIX_PATTERN,
      maxLength: 128,
      description:
        'Answers of the broker come below this subject and the role; by default `_INBOX`, as in `_INBOX.gateway.>`',
    }),
  ),
  NATS_JETSTREAM_DOMAIN: Type.Optional(
    Type.String({
      pattern: TOKEN_PATTERN,
      description: 'Domain of the JetStream with the streams, where the brokers have several',
    }),
  ),
};
const Settings = Type.Object(NatsAccessSettings);
type Settings = Static<typeof Settings>;

/** How to reach the brokers, beside their URL. Files have absolute names, with `{role}` for the role. */
export interface NatsAccess {
  /** Certificate files in PEM, for a broker with TLS. */
  tls?: NatsTlsFiles;
  /** Who connects, unless the URL has a user or a token. */
  secretFile?: NatsSecretFile;
  /** By default `_INBOX`. */
  inboxPrefix?: string;
  domain?: string;
}

export interface NatsTlsFiles {
  /** Of the authority that signed the brokers' certificates; by default, the authorities of the system. */
  caFile?: string;
  /** The client's own, for brokers that verify their clients. */
  certFile?: string;
  keyFile?: string;
}

const SECRET_FILES = {
  NATS_CREDS_FILE: 'creds',
  NATS_NKEY_SEED_FILE: 'nkey',
  NATS_TOKEN_FILE: 'token',
} as const satisfies Record<string, SecretKind>;
type SecretSetting = keyof typeof SECRET_FILES;

/** What `connectToNats` takes beside the URL; of several secrets, which are refused elsewhere, the first. */
export function natsAccess(settings: Settings): NatsAccess {
  const { NATS_CA_FILE: caFile, NATS_CERT_FILE: certFile, NATS_KEY_FILE: keyFile } = settings;
  const [secret] = secretsOf(settings);
  return {
    ...((caFile !== undefined || certFile !== undefined) && {
      tls: {
        ...(caFile !== undefined && { caFile: resolve(caFile) }),
        ...(certFile !== undefined && { certFile: resolve(certFile) }),
        ...(keyFile !== undefined && { keyFile: resolve(keyFile) }),
      },
    }),
    ...(secret && {
      secretFile: { kind: SECRET_FILES[secret.name], path: resolve(secret.path) },
    }),
    ...(settings.NATS_INBOX_PREFIX !== undefined && { inboxPrefix: settings.NATS_INBOX_PREFIX }),
    ...(settings.NATS_JETSTREAM_DOMAIN !== undefined && {
      domain: settings.NATS_JETSTREAM_DOMAIN,
    }),
  };
}

/**
 * Looks at what the schema can't see: settings that exclude each other, and the files. Sentences that name the
 * setting, and never show what is in a file.
 */
export function judgeNatsAccess(
  settings: Settings,
  { url, roles }: { url: string | undefined; roles: readonly NatsRole[] },
): { problems: string[]; warnings: string[] } {
  const problems = findConflicts(settings, url);
  const warnings = new Set<string>();
  for (const role of roles) {
    for (const { name, path } of secretsOf(settings)) {
      const kind = SECRET_FILES[name];
      const file = judgeSecretFile({ kind, path: fileOfRole(resolve(path), role) });
      if (file.problem !== undefined) problems.push(`${name}: ${file.problem}`);
      for (const warning of file.warnings) warnings.add(`${name}: ${warning}`);
    }
    problems.push(...findClosedFiles(settings, role));
  }
  return { problems: [...new Set(problems)], warnings: [...warnings] };
}

function findConflicts(settings: Settings, url: string | undefined): string[] {
  const problems: string[] = [];
  const ways: string[] = secretsOf(settings).map(({ name }) => name);
  const inUrl = url === undefined ? undefined : parseNatsUrl(url).credentials;
  if (inUrl !== undefined) ways.unshift(`NATS_URL with a ${'token' in inUrl ? 'token' : 'user'}`);
  if (ways.length > 1) {
    problems.push(`${ways.join(' and ')} exclude each other: leave out all but one`);
  }
  if ((settings.NATS_CERT_FILE === undefined) !== (settings.NATS_KEY_FILE === undefined)) {
    problems.push('NATS_CERT_FILE and NATS_KEY_FILE go together: set both or none');
  }
  return problems;
}

/** Certificates need not be private, and their content is for TLS to judge. */
function findClosedFiles(settings: Settings, role: NatsRole): string[] {
  const names = ['NATS_CA_FILE', 'NATS_CERT_FILE', 'NATS_KEY_FILE'] as const;
  return names.flatMap((name) => {
    const path = settings[name];
    if (path === undefined) return [];
    try {
      accessSync(fileOfRole(resolve(path), role), constants.R_OK);
      return [];
    } catch (error) {
      if (isLikeSecret(path)) return [`${name}: ${SECRET_AS_PATH}`];
      return [`${name} can't be read: ${(error as Error).message}`];
    }
  });
}

function secretsOf(settings: Settings): { name: SecretSetting; path: string }[] {
  return (Object.keys(SECRET_FILES) as SecretSetting[]).flatMap((name) => {
    const path = settings[name];
    return path === undefined ? [] : [{ name, path }];
  });
}

function file(description: string) {
  return Type.Optional(Type.String({ minLength: 1, description }));
}
