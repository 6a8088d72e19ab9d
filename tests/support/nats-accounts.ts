import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import type { Permissions } from '../../nats/permissions.ts';

/** An operator, and one account with JetStream, as a provider of NATS has them; users are made by the test. */
export interface DecentralisedAccount {
  /** Of a nats-server that knows the operator and the account by their JWTs alone. */
  config: string;
  /** The content of a credentials file. */
  makeUser: (permissions: Permissions, options?: { expiresAt?: number }) => string;
}

type KeyPair = ReturnType<typeof nkeys.createUser>;

export function makeAccount(storageBytesMax: number): DecentralisedAccount {
  const operator = nkeys.createOperator();
  const system = nkeys.createAccount();
  const account = nkeys.createAccount();
  const unlimited = { subs: -1, data: -1, payload: -1, conn: -1, leaf: -1 };
  const limits = { ...unlimited, imports: -1, exports: -1, wildcards: true };
  const jetStream = { disk_storage: storageBytesMax, streams: -1, consumer: -1 };
  const signAccount = (one: KeyPair, ofJetStream: object) =>
    sign(operator, one, { type: 'account', limits: { ...limits, ...ofJetStream } });
  return {
    config: `
operator: ${sign(operator, operator, { type: 'operator', system_account: system.getPublicKey() })}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
  ${system.getPublicKey()}: ${signAccount(system, {})}
  ${account.getPublicKey()}: ${signAccount(account, jetStream)}
}`,
    makeUser: ({ publish, subscribe }, { expiresAt } = {}) => {
      const user = nkeys.createUser();
      const permissions = { pub: { allow: publish }, sub: { allow: subscribe } };
      const claims = { type: 'user', subs: -1, data: -1, payload: -1, ...permissions };
      const jwt = sign(account, user, claims, expiresAt);
      const seed = Buffer.from(user.getSeed()).toString();
      return `-----BEGIN NATS USER JWT-----
${jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`;
    },
  };
}

/** A JWT of version 2 by which the issuer says what the subject is. */
function sign(issuer: KeyPair, subject: KeyPair, claims: object, expiresAt?: number): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const iat = Math.floor(Date.now() / 1000);
  const head = encode({ typ: 'JWT', alg: 'ed25519-nkey' });
  const body = encode({
    jti: nkeys.createUser().getPublicKey(),
    iat,
    ...(expiresAt !== undefined && { exp: Math.floor(expiresAt / 1000) }),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    nats: { version: 2, ...claims },
  });
  const signature = issuer.sign(Buffer.from(`${head}.${body}`));
  return `${head}.${body}.${Buffer.from(signature).toString('base64url')}`;
}

/** Files that only we can read, by name; a name may have `{role}`. Returns the folder. */
export function writeSecrets(folder: string, secrets: Record<string, string>): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(secrets)) {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
  }
  return folder;
}
