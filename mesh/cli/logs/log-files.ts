import { lstatSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A log of one service or server, in the order in which it was written: the current file is the last. */
export interface ServiceLog {
  /** Of the folder and the name: a server has one for what it says before it can write its own. */
  id: string;
  name: string;
  paths: string[];
}

/** Where npm start keeps logs, and where its servers keep those that they turn over themselves. */
const FOLDERS = ['logs', 'nats', 'nats-1', 'nats-2', 'nats-3', 'postgres/log'];

/** `gateway-1.log`, `gateway-1.log.2`, `nats-server.log.2026.11.27.09.13.12.123`, `postgres-20261127T091312.log`. */
const FILE = /^([a-z]+(?:-[a-z]+)?(?:-\d{1,2})?)(?:-(\d{8}T\d{6}))?\.log(?:\.([\d.]+))?$/;

/** The logs of the mesh on a data folder, by name. Nothing where there is none. */
export function findLogs(dataDir: string): ServiceLog[] {
  const found = new Map<string, { path: string; order: string }[]>();
  for (const folder of FOLDERS) {
    const parts = folder.split('/');
    for (const file of list(join(dataDir, ...parts))) {
      const [, name, day, turned] = FILE.exec(file) ?? [];
      if (name === undefined) continue;
      const id = `${folder}/${name}`;
      const files = found.get(id) ?? [];
      files.push({ path: join(dataDir, ...parts, file), order: orderOf(day, turned) });
      found.set(id, files);
    }
  }
  const logs = [...found].map(([id, files]) => ({
    id,
    name: basename(id),
    paths: files.toSorted((a, b) => (a.order < b.order ? -1 : 1)).map(({ path }) => path),
  }));
  return logs.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** Numbers count from the youngest, dates from the oldest; what has neither is written now. */
function orderOf(day: string | undefined, turned: string | undefined): string {
  if (turned === undefined) return day ?? '9';
  const isNumber = /^\d{1,2}$/.test(turned);
  return isNumber ? `1${String(99 - Number(turned)).padStart(2, '0')}` : turned;
}

function list(folder: string): string[] {
  try {
    // Not through a link: root would read what others chose.
    return lstatSync(folder).isDirectory() ? readdirSync(folder) : [];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
