import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { acquireLock } from './lock.ts';
import { generatePassword } from '../files/generate-password.ts';
import { writeFileAtomically } from '../files/write-file-atomically.ts';

/** Where everything of one mesh lies. Paths are absolute and free of symbolic links. */
export interface DataFolder {
  path: string;
  /** Of a server that runs alone; those of a cluster lie beside it, numbered. */
  nats: string;
  postgres: string;
  logs: string;
  ports: string;
  meshFile: string;
  /** Which servers filled it. */
  topology: string;
  secrets: Secrets;
  release(): void;
}

/** Generated at the first start and kept: the servers remember the passwords too. */
export interface Secrets {
  nats: Record<'gateway' | 'counter' | 'inspector' | 'provisioner' | 'cluster', string>;
  postgres: Record<'owner' | 'gateway' | 'counter', string>;
}

/** @throws StartError where a mesh runs on the folder. */
export async function openDataFolder(
  wanted: string,
  { say, signal }: { say: (line: string) => void; signal: AbortSignal },
): Promise<DataFolder> {
  const path = createFolder(resolve(wanted));
  const release = await acquireLock(join(path, 'lock'), {
    signal,
    onWait: (pid) =>
      say(`waiting for process ${pid}, which ends what an earlier mesh left running`),
  });
  try {
    mkdirSync(join(path, 'logs'), { recursive: true, mode: 0o700 });
    return {
      path,
      nats: join(path, 'nats'),
      postgres: join(path, 'postgres'),
      logs: join(path, 'logs'),
      ports: join(path, 'ports.json'),
      meshFile: join(path, 'mesh.json'),
      topology: join(path, 'topology'),
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

/** What a newer version needs and an older one did not make is added. */
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
      cluster: generatePassword(),
    },
    postgres: {
      owner: generatePassword(),
      gateway: generatePassword(),
      counter: generatePassword(),
    },
  };
}
