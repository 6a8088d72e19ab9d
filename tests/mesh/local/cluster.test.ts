import t from 'tap';
import { startClusterMesh } from '../cluster-mesh.ts';
import { describeLoad, startSteadyLoad } from '../steady-load.ts';

/**
 * The servers of a cluster notice after 4 to 9 seconds, drawn at random by each, that a leader has
 * died; nats-server has no setting for it. A vote that is split takes another round.
 */
const GAP_MS_MAX = 15_000;

// Everything else that can end is ended in tests/long/cluster.long.ts, which takes minutes.
await t.test('the death of the stream leader loses nothing and is waited out', async (t) => {
  const mesh = await startClusterMesh(t, { GATEWAYS: '2' });
  const urls = [`http://127.0.0.1:${mesh.port}`];
  const load = startSteadyLoad({ urls, perSecond: 150, scene: mesh.scene });
  await load.untilAccepted(300);

  await mesh.endAndAwait(await mesh.findLeader(), 'SIGKILL');
  await load.untilAccepted(load.accepted + 600);
  const report = await load.end();

  t.comment(describeLoad(report));
  t.strictSame(report.verdict.problems, [], 'zero lost, zero doubled');
  t.ok(report.longestGap.lengthMs < GAP_MS_MAX, 'the longest gap is that of an election');
  t.strictSame([...report.failed], [], 'and whoever waits too long is told so by a 503');
});
