import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Secrets } from '../../local/data-folder.ts';
import { readMeshFile } from '../../local/mesh-file.ts';
import { findSecrets, secretsOfUrls } from './mask-secrets.ts';

/** Passwords of the mesh of npm start; none where the data folder has none, or is another user's. */
export interface KnownSecrets {
  postgres: Partial<Secrets['postgres']>;
  /** All that the report must not have. */
  all: string[];
}

export function readKnownSecrets(dataDir: string, environment: NodeJS.ProcessEnv): KnownSecrets {
  const secrets = read(
    () => JSON.parse(readFileSync(join(dataDir, 'secrets.json'), 'utf8')) as Partial<Secrets>,
  );
  const mesh = read(() => readMeshFile(dataDir));
  const files = ['NATS_TOKEN_FILE', 'NATS_NKEY_SEED_FILE'].flatMap((name) => {
    const path = environment[name];
    return path ? (read(() => readFileSync(path, 'utf8'))?.trim() ?? []) : [];
  });
  return {
    postgres: secrets?.postgres ?? {},
    all: [
      ...findSecrets(environment),
      ...Object.values({ ...secrets?.nats }),
      ...Object.values({ ...secrets?.postgres }),
      ...secretsOfUrls(JSON.stringify(mesh ?? '')),
      ...files,
    ],
  };
}

function read<Answer>(one: () => Answer): Answer | undefined {
  try {
    return one();
  } catch {
    return undefined;
  }
}
