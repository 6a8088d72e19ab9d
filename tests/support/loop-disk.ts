import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { runAfterExit } from '../../mesh/servers/run-after-exit.ts';
import { isExecutable, onPath } from '../../mesh/servers/search-path.ts';
import { diskFolder } from '../runner/scratch-folder.ts';
import { until } from './until.ts';

/*
 * A disk whose power can be cut: a file system in a file, by way of a loop device. In the file is what the
 * device was given to keep; what programs have written and not synced is only in the kernel's memory.
 */

const run = promisify(execFile);

const DISK_BYTES = 2 ** 30;
/**
 * Nothing is written before somebody syncs: the journal for an hour, files for as long as the kernel keeps
 * changes in memory (30 s). Nor is the content of a file written when another takes its name.
 */
const MOUNT_OPTIONS = 'loop,commit=3600,noauto_da_alloc';
const PROGRAMS = ['mkfs.ext4', 'mount', 'umount'];
const COPIES_MAX = 20;
/** Waits for what is still running on it, which ends with us too. */
const CLEANUP = `
  tries=0
  while grep -q " $1 ext4 " /proc/self/mounts && [ $tries -lt 60 ]; do
    umount "$1" || sleep 1
    tries=$((tries + 1))
  done
  umount -l "$1"
  rmdir "$1"
  rm -r "$2"`;

export interface LoopDisk {
  /** Where it is mounted. */
  readonly path: string;
  /** Writes to it what is in the kernel's memory. */
  sync: () => Promise<void>;
  /** Keeps what a power cut at this moment leaves. The processes that write to the disk are frozen. */
  keepSynced: () => Promise<void>;
  /** Mounts what was kept, in the place of what is there. No process has a file open on the disk. */
  bringBack: () => Promise<void>;
  /** Unmounts and removes it. */
  remove: () => Promise<void>;
}

/** What keeps this machine from such a disk; undefined where nothing does. */
export function whyNoLoopDisk(): string | undefined {
  if (process.platform !== 'linux') return 'loop devices are of Linux';
  if (process.getuid?.() !== 0) return 'only root can mount a disk';
  if (!existsSync('/dev/loop-control')) return 'there is no /dev/loop-control';
  const missing = PROGRAMS.find((name) => !onPath(name, process.env.PATH ?? '').some(isExecutable));
  return missing && `${missing} is not on the PATH`;
}

/** Makes and mounts an empty one. It goes with this process, even where that is killed. */
export async function mountLoopDisk(): Promise<LoopDisk> {
  // Not in the folder of the run, which may be removed while this is mounted.
  const path = mkdtempSync(join(diskFolder(), 'increment-mesh-test-'));
  const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  const image = join(folder, 'image');
  const kept = join(folder, 'kept');
  const cancelCleanup = runAfterExit('/bin/sh', ['-c', CLEANUP, 'sh', path, folder]);
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);

  const mount = () => run('mount', ['-o', MOUNT_OPTIONS, image, path]);
  const remove = async () => {
    if (findDevice(path) !== undefined)
      await unmount(path).catch(() => run('umount', ['-l', path]));
    rmdirSync(path);
    rmSync(folder, { recursive: true, force: true });
    cancelCleanup();
  };
  try {
    // Whole at once: else the kernel goes on making it while it is used.
    const eager = ['-E', 'lazy_itable_init=0,lazy_journal_init=0'];
    await run('mkfs.ext4', ['-q', '-F', ...eager, image]);
    await mount();
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    path,
    sync: async () => void (await run('sync', ['-f', path])),
    keepSynced: () => copyAtOneMoment(path, image, kept),
    bringBack: async () => {
      await unmount(path);
      renameSync(kept, image);
      await mount();
    },
    remove,
  };
}

/**
 * A copy during which the kernel wrote is none of one moment, and made again: a frozen process may still
 * have a thread in the middle of a sync.
 */
async function copyAtOneMoment(path: string, image: string, copy: string): Promise<void> {
  for (let copies = 0; copies < COPIES_MAX; copies++) {
    const before = readWrites(path);
    await run('cp', ['--sparse=always', image, copy]);
    const after = readWrites(path);
    if (before.inFlight + after.inFlight === 0 && before.writes === after.writes) return;
  }
  throw new Error(`the disk ${path} was written to during each of ${COPIES_MAX} copies`);
}

/** @see https://docs.kernel.org/block/stat.html */
function readWrites(path: string): { writes: number; inFlight: number } {
  const stat = readFileSync(`/sys/block/${basename(findDevice(path)!)}/stat`, 'utf8');
  const fields = stat.trim().split(/ +/).map(Number);
  return { writes: fields[4]!, inFlight: fields[8]! };
}

/** Undefined where nothing is mounted there. The device goes when it is unmounted. */
function findDevice(path: string): string | undefined {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.map((line) => line.split(' ')).find(([, place]) => place === path)?.[0];
}

/** The last process that used it may have ended just now. */
async function unmount(path: string): Promise<void> {
  const tryTo = () =>
    run('umount', [path]).then(
      () => 'unmounted',
      (error: Error) => error.message,
    );
  await until(`an unmounted ${path}`, tryTo, (said) => said === 'unmounted', 10_000);
}
