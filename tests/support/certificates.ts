import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  caFile: string;
  certFile: string;
  keyFile: string;
}

/** An authority, and one certificate by it for 127.0.0.1, as server and as client. Needs openssl. */
export function makeCertificates(folder: string): Certificates {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  const path = (name: string) => join(folder, name);
  const openssl = (line: string) =>
    execFileSync('openssl', line.split(' '), { cwd: folder, stdio: 'pipe' });
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  openssl(`req -x509 ${key} -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem`);
  openssl(`req ${key} -subj /CN=mesh -keyout key.pem -out request.pem`);
  writeFileSync(path('extensions'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const signed = '-CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile extensions';
  openssl(`x509 -req -in request.pem -days 2 ${signed} -out cert.pem`);
  return { caFile: path('ca.pem'), certFile: path('cert.pem'), keyFile: path('key.pem') };
}
