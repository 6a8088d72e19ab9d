import t from 'tap';
import { INCREMENTS } from '../../nats/topology.ts';
import { openScene } from '../torture/scene.ts';
import { until } from './until.ts';
import { makeDataDir, startMesh } from './mesh-process.ts';
import { describeLoad, startSteadyLoad } from './steady-load.ts';

/**
 * The servers of a cluster notice after 4 to 9 seconds, drawn at random by each, that a leader has
 * died; nats-server has no setting for it. A vote that is split takes another round.
 */
const GAP_MS_MAX = 12_000;

// npm start with a NATS cluster of three and three gateways; the longer form of this is
// tests/system/cluster.system.ts.
await t.test(
  'the death of the stream leader loses nothing and stops clients shortly',
  async (t) => {
    const dataDir = makeDataDir(t);
    const environment = { NATS_NODES: '3', GATEWAYS: '3', FLUSH_INTERVAL_MS: '1000' };
    const mesh = await startMesh({ dataDir, environment });
    const endings: (() => unknown)[] = [];
    t.teardown(async () => {
      for (const end of endings.toReversed()) await end();
      mesh.child.kill('SIGTERM');
      await mesh.exited;
    });
    const scene = await openScene(mesh.describe(), endings);
    const urls = [`http://127.0.0.1:${mesh.port}`];
    const load = startSteadyLoad({ urls, perSecond: 1_000, scene });
    const untilAccepted = (count: number) =>
      until(`${count} accepted requests`, () => load.accepted >= count, 30_000);
    await untilAccepted(2_000);

    const { cluster } = await scene.inspector.streams.info(INCREMENTS);
    const leader = Number(cluster?.leader?.at(-1));
    process.kill(mesh.describe().nats[leader - 1]!.pid!, 'SIGKILL');
    await untilAccepted(load.accepted + 6_000);
    await mesh.says(`nats-${leader} is back`);
    const report = await load.end();

    t.comment(describeLoad(report));
    t.strictSame(report.verdict.problems, [], 'zero lost, zero doubled');
    t.ok(
      report.longestGap.lengthMs < GAP_MS_MAX,
      `the longest gap was ${report.longestGap.lengthMs} ms`,
    );
    t.ok(report.accepted > 8_000);
  },
);
