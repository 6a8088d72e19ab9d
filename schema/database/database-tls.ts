import { readFileSync } from 'node:fs';
import { getCACertificates, type ConnectionOptions } from 'node:tls';
import { ConfigurationError } from '../settings/environment.ts';
import type { DatabaseTls } from './database-url-parameters.ts';

/**
 * How a connection is encrypted and what the server must prove, as libpq means `sslmode`.
 *
 * @returns undefined where nothing is encrypted.
 * @throws ConfigurationError naming the parameter whose file can't be read.
 */
export function readTlsOptions(tls: DatabaseTls): ConnectionOptions | undefined {
  const { mode, rootCertFile, certFile, keyFile, keyPassword } = tls;
  if (mode === 'disable') return undefined;
  const isVerified = mode === 'verify-ca' || mode === 'verify-full';
  return {
    rejectUnauthorized: isVerified,
    ...(isVerified && { ca: readAuthorities(rootCertFile) }),
    // Whoever has a certificate of that authority, under whatever name.
    ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
    ...(certFile !== undefined && { cert: read('sslcert', certFile) }),
    ...(keyFile !== undefined && { key: read('sslkey', keyFile) }),
    ...(keyPassword !== undefined && { passphrase: keyPassword }),
  };
}

/** Small images have none of the system's; Node brings those that browsers know. */
function readAuthorities(file: string | undefined): string | string[] {
  if (file !== undefined) return read('sslrootcert', file);
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

function read(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError([
      `the file of ${name} can't be read: ${(error as Error).message}`,
    ]);
  }
}

export function tlsFiles({ rootCertFile, certFile, keyFile }: DatabaseTls): string[] {
  return [rootCertFile, certFile, keyFile].filter((file) => file !== undefined);
}
