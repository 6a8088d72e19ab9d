import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { INCREMENTS } from '../../nats/streams.ts';
import { runCommand } from '../mesh/cli/run-command.ts';
import { startClusterMesh } from '../mesh/cluster-mesh.ts';
import { describeLoad, startSteadyLoad, type LoadReport } from '../mesh/steady-load.ts';
import { findDebianProgram } from '../system/debian-program.ts';

// One machine's processes as compose.yaml has them, each ended in turn under load. The figures that
// it prints are those of the README: npm run test:long

const PER_SECOND = 1_000;
/** Between one process that is back and the next that ends. */
const PAUSE_MS = 2_000;
/** An election takes 4 to 9 seconds, and longer where a vote is split. */
const GAP_MS_MAX = 15_000;
const REFUSED_RATIO_MAX = 0.001;

await t.test('kill -9 of any one process loses nothing and doubles nothing', async (t) => {
  const mesh = await startClusterMesh(t);
  const urls = [`http://127.0.0.1:${mesh.port}`];
  const load = startSteadyLoad({ urls, perSecond: PER_SECOND, scene: mesh.scene });
  await load.untilAccepted(PER_SECOND);
  for (const name of mesh.names.all) {
    load.takeLongestGapMs();
    const role = name === (await mesh.findLeader()) ? ', the leader' : '';
    await mesh.endAndAwait(name, 'SIGKILL');
    // A broker is back before its neighbours have noticed that it was away.
    await delay(PAUSE_MS);
    await load.untilAccepted(load.accepted + PER_SECOND);
    t.comment(`${name}${role}: longest gap ${Math.round(load.takeLongestGapMs())} ms`);
  }
  const report = await load.end();
  t.comment(describeLoad(report));
  t.strictSame(report.verdict.problems, []);
  t.ok(report.longestGap.lengthMs < GAP_MS_MAX);
});

for (const proxy of ['0', '1']) {
  const through = proxy === '1' ? 'through Caddy' : 'on one port';
  await t.test(
    `a rolling restart of everything, ${through}, refuses next to nothing`,
    async (t) => {
      const environment =
        proxy === '1' ? { PROXY: '1', PATH: await pathWithCaddy(t.testdir()) } : {};
      const mesh = await startClusterMesh(t, environment);
      const urls = [`http://127.0.0.1:${mesh.port}`];
      const load = startSteadyLoad({ urls, perSecond: PER_SECOND, scene: mesh.scene });
      await load.untilAccepted(PER_SECOND);
      // The proxy itself is the one that a client can't do without.
      for (const name of mesh.names.all.filter((one) => one !== 'proxy')) {
        load.takeLongestGapMs();
        // PostgreSQL would wait for its clients to leave; this sends them away.
        await mesh.endAndAwait(name, name === 'PostgreSQL' ? 'SIGINT' : 'SIGTERM');
        await delay(PAUSE_MS);
        t.comment(`${name}: longest gap ${Math.round(load.takeLongestGapMs())} ms`);
      }
      const report = await load.end();
      t.comment(describeLoad(report));
      t.strictSame(report.verdict.problems, []);
      t.ok(refusedRatio(report) <= REFUSED_RATIO_MAX, 'at most 0.1 % are refused');
      t.strictSame([...report.failed], [], 'each with 503 and Retry-After');
    },
  );
}

await t.test('one replica becomes three under load', async (t) => {
  const mesh = await startClusterMesh(t, { REPLICAS: '1' });
  const urls = [`http://127.0.0.1:${mesh.port}`];
  const load = startSteadyLoad({ urls, perSecond: PER_SECOND, scene: mesh.scene });
  await load.untilAccepted(2 * PER_SECOND);
  const before = await mesh.scene.inspector.streams.info(INCREMENTS);
  t.equal(before.config.num_replicas, 1);

  const { code, output, error } = await runCommand('replicas 3', { DATA_DIR: mesh.dataDir });
  t.comment(error);
  t.equal(code, 0, output);
  t.match(output, /Every replica is current/);
  t.match(output, /consumer counter +3 of 3 current/);

  await mesh.endAndAwait(await mesh.findLeader(), 'SIGKILL');
  await delay(PAUSE_MS);
  const report = await load.end();
  t.comment(describeLoad(report));
  t.strictSame(report.verdict.problems, []);
});

function refusedRatio({ refused, sent }: LoadReport): number {
  return refused / sent;
}

/** As where Caddy is installed. */
async function pathWithCaddy(folder: string): Promise<string> {
  const caddy = await findDebianProgram('caddy', 'usr/bin/caddy');
  const programs = join(folder, 'bin');
  mkdirSync(programs);
  symlinkSync(caddy, join(programs, 'caddy'));
  return `${programs}:${process.env['PATH']}`;
}
