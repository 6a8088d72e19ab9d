import { resolve } from 'node:path';
import { Type, type Static } from 'typebox';
import type { NatsTlsFiles } from './connect.ts';

/** The settings of every program that connects to brokers with TLS. */
export const NatsTlsSettings = {
  NATS_CA_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        "Certificate (PEM) of the authority that signed the brokers' certificates; turns TLS on",
    }),
  ),
  NATS_CERT_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Own certificate (PEM), for brokers that verify clients',
    }),
  ),
  NATS_KEY_FILE: Type.Optional(Type.String({ minLength: 1, description: 'Its private key (PEM)' })),
};
const Settings = Type.Object(NatsTlsSettings);

/** What `connectToNats` takes, with absolute paths; empty if no file is set. */
export function natsTlsFiles(settings: Static<typeof Settings>): { tls?: NatsTlsFiles } {
  const { NATS_CA_FILE: caFile, NATS_CERT_FILE: certFile, NATS_KEY_FILE: keyFile } = settings;
  if (caFile === undefined && certFile === undefined) return {};
  return {
    tls: {
      ...(caFile !== undefined && { caFile: resolve(caFile) }),
      ...(certFile !== undefined && { certFile: resolve(certFile) }),
      ...(keyFile !== undefined && { keyFile: resolve(keyFile) }),
    },
  };
}
