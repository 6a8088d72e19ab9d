import { findNatsServer } from '../../mesh/servers/find-nats-server.ts';
import { VERSION } from '../../mesh/servers/nats-server-release.ts';
import { findBinaries } from '../../mesh/servers/postgres-cluster.ts';
import { runProgram } from '../../mesh/servers/run-program.ts';

/**
 * The versions of the servers that the tests run, in one line. Where there is no nats-server yet it is fetched,
 * once for all processes of the run.
 */
export async function describeServers(): Promise<string> {
  const { postgres } = await findBinaries();
  const nats = await readVersion(await findNatsServer({ say: (line) => console.log(line) }));
  const pinned = nats === VERSION ? '' : ` (pinned: ${VERSION})`;
  return `nats-server ${nats}${pinned}, PostgreSQL ${await readVersion(postgres)}, Node ${process.versions.node}`;
}

async function readVersion(program: string): Promise<string> {
  const output = await runProgram(program, ['--version'], { timeoutMs: 5_000 });
  return /\d+(?:\.\d+)+/.exec(output)?.[0] ?? output.trim();
}
