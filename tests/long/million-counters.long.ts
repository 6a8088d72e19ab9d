import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { sql } from 'kysely';
import t from 'tap';
import { send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startGateway } from '../support/services.ts';

const COUNTERS = 1_000_000;
const INSERTED_AT_ONCE = 50_000;
/** The stream has some 125 MB; all of it in memory would have twice that. */
const GROWTH_MIB_MAX = 64;

void t.test('a million counters are read in constant memory', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  for (let count = 0; count < COUNTERS; count += INSERTED_AT_ONCE) {
    await sql`
      insert into increments (key, value)
      select gen_random_uuid(), 1000000007
      from generate_series(1, ${INSERTED_AT_ONCE})`.execute(servers.database);
  }
  const gateway = await startGateway(t, servers);
  const url = `${gateway.url}/counters`;
  // The code of a route is compiled at its first requests.
  for (let warm = 0; warm < 20; warm++) await send(`${url}?limit=1000`);

  const before = readMemory(gateway.pid);
  let most = before;
  const sampling = setInterval(() => (most = Math.max(most, readMemory(gateway.pid))), 50);
  t.teardown(() => clearInterval(sampling));
  const startedAt = performance.now();
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers: { accept: 'application/x-ndjson' } }, resolve).on('error', reject);
  });
  let bytes = 0;
  let lines = 0;
  let end = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
    end = `${end}${chunk.toString()}`.slice(-200);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const growth = most - before;
  t.equal(lines, COUNTERS + 1);
  t.match(end, `"counters":${COUNTERS}}\n`);
  t.comment(
    `${COUNTERS} counters, ${(bytes / 1e6).toFixed(0)} MB, in ${seconds.toFixed(1)} s: ` +
      `${Math.round(COUNTERS / seconds)} a second; the gateway grew by ${growth.toFixed(0)} MiB ` +
      `from ${before.toFixed(0)}`,
  );
  t.ok(growth < GROWTH_MIB_MAX, `${growth} MiB`);
});

/** What a process has in memory, in MiB. */
function readMemory(pid: number): number {
  return Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}
