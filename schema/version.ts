import { readFileSync } from 'node:fs';

/** The version of this project, as package.json states it: the one source of it. */
export function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
