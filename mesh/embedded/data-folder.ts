import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { acquireLock } from './lock.ts';
import { StartError } from '../start-error.ts';
import { writeFileAtomically } from '../write-file-atomically.ts';

/** Where everything of one mesh lies. Paths are absolute and free of symbolic links. */
export interface DataFolder {
  path: string;
  nats: string;
  postgres: string;
  logs: string;
  ports: string;
  meshFile: string;
  secrets: Secrets;
  release(): void;
}

/** Generated at the first start and kept: the servers remember the passwords too. */
export interface Secrets {
  nats: Record<'gateway' | 'counter' | 'inspector' | 'provisioner', string>;
  postgres: Record<'owner' | 'gateway' | 'counter', string>;
}

/** @throws StartError where a living mesh uses the folder or another topology filled it. */
export function openDataFolder(wanted: string): DataFolder {
  const path = createFolder(resolve(wanted));
  const release = acquireLock(join(path, 'lock'));
  try {
    checkTopology(path);
    mkdirSync(join(path, 'logs'), { recursive: true, mode: 0o700 });
    return {
      path,
      nats: join(path, 'nats'),
      postgres: join(path, 'postgres'),
      logs: join(path, 'logs'),
      ports: join(path, 'ports.json'),
      meshFile: join(path, 'mesh.json'),
      secrets: readSecrets(join(path, 'secrets.json')),
      release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** As root, PostgreSQL runs as another user, who must get through this folder to its own. */
function createFolder(path: string): string {
  if (!existsSync(path)) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, process.getuid?.() === 0 ? 0o711 : 0o700);
  }
  return realpathSync(path);
}

/** A clustered broker deletes the store of a standalone one as an orphan, so what made it is noted. */
function checkTopology(path: string): void {
  const file = join(path, 'topology');
  if (!existsSync(file)) return writeFileAtomically(file, 'standalone\n');
  const topology = readFileSync(file, 'utf8').trim();
  if (topology === 'standalone') return;
  throw new StartError(
    `${path} holds the data of a "${topology}" mesh and npm start runs a "standalone" one,\n` +
      `which could lose it: choose another DATA_DIR.`,
  );
}

function readSecrets(file: string): Secrets {
  if (!existsSync(file))
    writeFileAtomically(file, `${JSON.stringify(generateSecrets(), null, 2)}\n`);
  return JSON.parse(readFileSync(file, 'utf8')) as Secrets;
}

function generateSecrets(): Secrets {
  return {
    nats: {
      gateway: generatePassword(),
      counter: generatePassword(),
      inspector: generatePassword(),
      provisioner: generatePassword(),
    },
    postgres: {
      owner: generatePassword(),
      gateway: generatePassword(),
      counter: generatePassword(),
    },
  };
}

/** 128 bits. The letter in front keeps the NATS configuration from reading a number. */
export function generatePassword(): string {
  return `p${randomBytes(16).toString('hex')}`;
}
