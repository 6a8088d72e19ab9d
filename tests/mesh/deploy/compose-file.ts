import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface ComposeService {
  image: string;
  build?: string;
  command?: string[];
  entrypoint?: string[];
  user?: string;
  environment?: Record<string, string | number>;
  volumes?: string[];
  ports?: string[];
  networks?: string[];
  network_mode?: string;
  read_only?: boolean;
  pids_limit?: number;
  cap_drop?: string[];
  security_opt?: string[];
  restart?: string;
  stop_grace_period?: string;
  logging?: { driver: string; options: Record<string, string> };
  profiles?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[]; disable?: boolean };
  deploy?: {
    replicas?: number;
    resources?: { limits?: { cpus: string; memory: string; pids?: number } };
  };
}

export interface ComposeFile {
  name: string;
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
  networks: Record<
    string,
    { internal?: boolean; ipam?: { config?: { subnet: string }[] } } | undefined
  >;
}

/** compose.yaml with its variables filled in, as `docker compose config` does it. */
export function readComposeFile(environment: Record<string, string> = {}): ComposeFile {
  const text = readFileSync(`${ROOT}/compose.yaml`, 'utf8');
  const name = /^name: (.+)$/m.exec(text)?.[1] ?? '';
  const variables: Record<string, string> = { COMPOSE_PROJECT_NAME: name, ...environment };
  const filled = text
    .replaceAll(
      /(?<!\$)\$\{([A-Z_]+)(?::-([^}]*))?\}/g,
      (_whole, variable: string, fallback?: string) => variables[variable] ?? fallback ?? '',
    )
    .replaceAll('$$', '$');
  return parse(filled, { merge: true }) as ComposeFile;
}

/** Environment variables are text, whatever YAML makes of them. */
export function environmentOf({ environment = {} }: ComposeService): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, String(value)]),
  );
}
