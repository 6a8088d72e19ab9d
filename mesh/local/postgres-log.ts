import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LOG_BYTES_MAX, LOG_FILES_MAX } from '../servers/log-file.ts';

/** Below the folder of the data: it runs as a user who may write nowhere else. */
export const POSTGRES_LOG_FOLDER = 'log';

/** PostgreSQL begins a new file when one is full, and at each start. */
export const POSTGRES_LOG_SETTINGS = [
  'logging_collector=on',
  `log_directory=${POSTGRES_LOG_FOLDER}`,
  'log_filename=postgres-%Y%m%dT%H%M%S.log',
  'log_file_mode=0600',
  'log_rotation_age=0',
  `log_rotation_size=${LOG_BYTES_MAX / 1024}kB`,
];

const FILE = /^postgres-\d{8}T\d{6}\.log$/;
/** It removes no file itself. */
const LOOK_MS = 10_000;

/** Removes the oldest files of PostgreSQL's log now, and again and again until it exits. */
export function boundPostgresLog(folder: string, exited: Promise<unknown>): void {
  removeOldLogs(folder);
  const timer = setInterval(() => removeOldLogs(folder), LOOK_MS).unref();
  void exited.then(() => clearInterval(timer));
}

/** Keeps the youngest files, which together have no more bytes than another log of the mesh. */
export function removeOldLogs(folder: string, bytesMax = LOG_BYTES_MAX * LOG_FILES_MAX): void {
  // It belongs to PostgreSQL's user; root must not remove elsewhere what that one chose.
  if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  let bytes = 0;
  const youngest = readdirSync(folder)
    .filter((name) => FILE.test(name))
    .toSorted()
    .toReversed();
  for (const [index, name] of youngest.entries()) {
    const path = join(folder, name);
    bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (index > 0 && bytes > bytesMax) rmSync(path, { force: true });
  }
}
