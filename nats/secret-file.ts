import { readFileSync } from 'node:fs';
import {
  jwtAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  type Authenticator,
} from '@nats-io/transport-node';
import { readPrivateFile } from '../schema/settings/private-file.ts';
import type { NatsRole } from './roles.ts';

/** A file by which a program proves who it is. */
export interface NatsSecretFile {
  kind: SecretKind;
  /** `{role}` in it stands for the role that connects. */
  path: string;
}
export type SecretKind = 'creds' | 'nkey' | 'token';

interface Secret {
  /** Of an nkey or of credentials: the seed of a user, which begins with SU. */
  seed?: string;
  jwt?: string;
  token?: string;
}

const SEED = /^\s*(SU[A-Z2-7]{56})\s*$/m;
const JWT = /^\s*([\w-]+\.[\w-]+\.[\w-]+)\s*$/m;
const FORMS: Record<SecretKind, string> = {
  creds: 'the JWT of a user and its seed, as `nsc generate creds` writes them',
  nkey: "the seed of a user's nkey, which begins with SU",
  token: 'a token, in one line',
};

export function fileOfRole(path: string, role: NatsRole): string {
  return path.replaceAll('{role}', role);
}

/** Whether the file is safe from others and has what it must; nothing of its content is shown. */
export function judgeSecretFile({ kind, path }: NatsSecretFile): {
  problem?: string;
  warnings: string[];
} {
  const { content, problem, warnings } = readPrivateFile(path);
  if (problem !== undefined) return { problem, warnings };
  if (parseSecret(kind, content ?? '') !== undefined) return { warnings };
  return { problem: `${path} must have ${FORMS[kind]}`, warnings };
}

/**
 * Reads the file again at each connection, so that a new secret can take the place of an old one. While it can't
 * be read, or is half written, the last one holds.
 */
export function authenticateByFile({ kind, path }: NatsSecretFile): Authenticator {
  let last: Secret = {};
  const read = () => {
    try {
      last = parseSecret(kind, readFileSync(path, 'utf8')) ?? last;
    } catch {
      // The last one holds.
    }
    return last;
  };
  const readSeed = () => Buffer.from(read().seed ?? '');
  if (kind === 'token') return tokenAuthenticator(() => read().token ?? '');
  if (kind === 'nkey') return nkeyAuthenticator(readSeed);
  return jwtAuthenticator(() => read().jwt ?? '', readSeed);
}

/** When the user's JWT in a credentials file expires, in milliseconds since 1970; undefined if never. */
export function readExpiry({ kind, path }: NatsSecretFile): number | undefined {
  if (kind !== 'creds') return undefined;
  try {
    const [, claims = ''] = parseSecret(kind, readFileSync(path, 'utf8'))?.jwt?.split('.') ?? [];
    const { exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp?: unknown };
    return typeof exp === 'number' && exp > 0 ? exp * 1_000 : undefined;
  } catch {
    return undefined;
  }
}

function parseSecret(kind: SecretKind, content: string): Secret | undefined {
  if (kind === 'token') {
    const token = content.trim();
    return token === '' || /\s/.test(token) ? undefined : { token };
  }
  const seed = SEED.exec(content)?.[1];
  if (seed === undefined) return undefined;
  if (kind === 'nkey') return { seed };
  const jwt = JWT.exec(content)?.[1];
  return jwt === undefined ? undefined : { seed, jwt };
}
