import type { Test } from 'tap';
import { INCREMENTS } from '../../nats/streams.ts';
import { openInspection, type Inspection } from '../torture/inspection.ts';
import { makeDataDir, startMesh, type MeshProcess } from './mesh-process.ts';
import { isThere, until } from '../support/until.ts';

/** `npm start` with a NATS cluster, to be hurt. */
export interface ClusterMesh extends MeshProcess {
  scene: Inspection;
  /** The name of the nats-server that leads the stream. */
  findLeader: () => Promise<string>;
  /** Of a program, by the name that the mesh calls it. */
  pidOf: (name: string) => number;
  names: { nats: string[]; gateways: string[]; counters: string[]; all: string[] };
  /** Ends a program by a signal and waits until the mesh says that it is back. */
  endAndAwait: (name: string, signal: NodeJS.Signals) => Promise<void>;
}

export async function startClusterMesh(
  t: Test,
  environment: NodeJS.ProcessEnv = {},
): Promise<ClusterMesh> {
  const mesh = await startMesh({
    dataDir: makeDataDir(t),
    environment: { NATS_NODES: '3', GATEWAYS: '3', FLUSH_INTERVAL_MS: '1000', ...environment },
  });
  const endings: (() => unknown)[] = [];
  t.teardown(async () => {
    for (const end of endings.toReversed()) await end();
    mesh.child.kill('SIGTERM');
    await mesh.exited;
  });
  const scene = await openInspection(mesh.describe(), endings);
  const pids = () => {
    const { gateways, counters, nats, postgres, proxy } = mesh.describe();
    const numbered = (kind: string, list: { pid: number | null }[]) =>
      list.map(({ pid }, index): [string, number] => [`${kind}-${index + 1}`, pid!]);
    return new Map([
      ...numbered('nats', nats),
      ...numbered('gateway', gateways),
      ...numbered('counter', counters),
      ['PostgreSQL', postgres.pid!] as const,
      ...(proxy === null ? [] : [['proxy', proxy.pid] as const]),
    ]);
  };
  const all = [...pids().keys()];
  const ofKind = (kind: string) => all.filter((name) => name.startsWith(`${kind}-`));
  const pidOf = (name: string) => pids().get(name)!;

  return {
    ...mesh,
    scene,
    findLeader: () => {
      const ask = () =>
        scene.inspector.streams.info(INCREMENTS).then(
          ({ cluster }) => cluster?.leader,
          // There is none while one is elected.
          () => undefined,
        );
      return until('a leader of the stream', ask, isThere, 30_000);
    },
    pidOf,
    names: { nats: ofKind('nats'), gateways: ofKind('gateway'), counters: ofKind('counter'), all },
    endAndAwait: async (name, signal) => {
      const before = mesh.output().length;
      process.kill(pidOf(name), signal);
      const isBack = () => mesh.output().slice(before).includes(`${name} is back`);
      await until(`${name} is back, in\n${mesh.output()}`, isBack, isThere, 90_000);
    },
  };
}
