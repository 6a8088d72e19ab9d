import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { NatsRole } from '../../nats/connect.ts';
import { generatePassword } from '../files/generate-password.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';
import { readPostgresAccount } from '../servers/postgres-account.ts';
import { StartError } from '../servers/start-error.ts';
import { acquireLock } from './lock.ts';
import { checkOwnFolder, makeOwnFolder } from './own-folder.ts';
import { ACCOUNTS } from './run-as.ts';

/** The folder of one mesh. Paths are absolute and free of symbolic links. */
export interface DataFolder {
  path: string;
  /** Of a single nats-server; a cluster has `nats-1` to `nats-3` beside it. */
  nats: string;
  postgres: string;
  logs: string;
  ports: string;
  meshFile: string;
  /** Says which kind of broker stored the messages: `standalone` or `cluster`. */
  nodeCountFile: string;
  secrets: Secrets;
  release(): void;
}

/** Generated at the first start and kept, since the servers have the passwords too. */
export interface Secrets {
  nats: Record<NatsRole | 'cluster', string>;
  postgres: Record<'superuser' | 'owner' | 'gateway' | 'counter' | 'reader', string>;
}

/** @throws StartError where a mesh runs on the folder, or others have a say in what is in it. */
export async function openDataFolder(
  wanted: string,
  { say, signal }: { say: (line: string) => void; signal: AbortSignal },
): Promise<DataFolder> {
  const path = makeOwnFolder(resolve(wanted));
  const accounts = [await readPostgresAccount(), ...(isRoot() ? Object.values(ACCOUNTS) : [])];
  checkOwnFolder(
    path,
    accounts.flatMap((account) => account?.uid ?? []),
  );
  const release = await acquireLock(join(path, 'lock'), {
    signal,
    onWait: (pid) =>
      say(`waiting for process ${pid}, which ends what an earlier mesh left running`),
  }).catch((error: unknown) => refuse(path, error));
  try {
    mkdirSync(join(path, 'logs'), { recursive: true, mode: 0o700 });
    return {
      path,
      nats: join(path, 'nats'),
      postgres: join(path, 'postgres'),
      logs: join(path, 'logs'),
      ports: join(path, 'ports.json'),
      meshFile: join(path, 'mesh.json'),
      nodeCountFile: join(path, 'topology'),
      secrets: readSecrets(join(path, 'secrets.json')),
      release,
    };
  } catch (error) {
    release();
    return refuse(path, error);
  }
}

/** What the system refuses, such as a disk that is full or only there to read, is for the user to change. */
function refuse(path: string, error: unknown): never {
  const { message, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined) throw error;
  throw new StartError(`the folder ${path} can't be used: ${message}`, { cause: error });
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Adds what an older version did not generate. */
function readSecrets(file: string): Secrets {
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Partial<Secrets>) : {};
  const fresh = generateSecrets();
  const secrets: Secrets = {
    nats: { ...fresh.nats, ...kept.nats },
    postgres: { ...fresh.postgres, ...kept.postgres },
  };
  writeFileAtomically(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

function generateSecrets(): Secrets {
  return {
    nats: {
      gateway: generatePassword(),
      counter: generatePassword(),
      inspector: generatePassword(),
      provisioner: generatePassword(),
      operator: generatePassword(),
      cluster: generatePassword(),
    },
    postgres: {
      superuser: generatePassword(),
      owner: generatePassword(),
      gateway: generatePassword(),
      counter: generatePassword(),
      reader: generatePassword(),
    },
  };
}
