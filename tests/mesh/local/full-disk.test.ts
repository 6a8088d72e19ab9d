import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { endOrphans } from '../../../mesh/local/orphans.ts';
import { until } from '../../support/until.ts';
import { increment, startMesh, total } from '../mesh-process.ts';

const DISK_MEBIBYTES = 400;
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

await t.test(
  'a disk that was full stops no mesh, and its stream stores again once there is room',
  { skip: isRoot ? false : 'only root can mount a small disk' },
  async (t) => {
    const disk = mountDisk(t);
    const mesh = await startMesh({ dataDir: join(disk, 'data'), environment: { PROXY: '0' } });
    t.teardown(async () => {
      mesh.child.kill('SIGTERM');
      await mesh.exited;
    });
    const readiness = async () => {
      const answer = await fetch(`http://127.0.0.1:${mesh.port}/readyz`);
      return (await answer.json()) as { status: string; stream: string; reason: string };
    };
    const key = randomUUID();
    let accepted = 0;
    let unknown = 0;
    const send = async () => {
      const status = await increment(mesh, key, 1);
      if (status === 200) accepted++;
      else unknown++;
      return status;
    };
    t.equal(await send(), 200);

    const filler = fill(disk);
    await until('refused', send, (status) => status === 503);
    t.match(await until('not ready', readiness, ({ status }) => status !== 'ready'), {
      stream: 'silent',
      reason: /see whether the disk of its server is or was full/,
    });
    await delay(5_000);
    rmSync(filler);

    await mesh.says('restarting nats-server', 30_000);
    await until('ready', readiness, ({ status }) => status === 'ready', 60_000);
    await until('a 200', send, (status) => status === 200, 60_000);
    const isCounted = (value: string | undefined) => Number(value) >= accepted;
    const counted = await until('counted', () => total(mesh, key), isCounted, 60_000);
    t.ok(Number(counted) <= accepted + unknown, 'and no more than was sent');
    t.equal(mesh.child.exitCode, null, 'the mesh runs on');
  },
);

/** A file system in memory of its own, which a file can fill. */
function mountDisk(t: Test): string {
  const disk = mkdtempSync(join(tmpdir(), 'increment-mesh-test-'));
  const options = `size=${DISK_MEBIBYTES}m,mode=711`;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk]);
  chmodSync(disk, 0o711);
  t.teardown(async () => {
    await endOrphans(join(disk, 'data'), () => {});
    execFileSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true });
  });
  return disk;
}

/** Writes until nothing more fits. */
function fill(disk: string): string {
  const file = join(disk, 'filler');
  for (let size = 1024 * 1024; size > 0; size = Math.floor(size / 16)) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  return file;
}
