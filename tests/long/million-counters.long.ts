import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { sql } from 'kysely';
import t from 'tap';
import { startServers } from '../support/servers.ts';
import { startGateway } from '../support/services.ts';

const COUNTERS = 1_000_000;
const INSERTED_AT_ONCE = 50_000;
/** Behind it is a fifth of random keys. */
const AFTER = 'cccccccc-cccc-cccc-cccc-cccccccccccc';
/** All counters have some 110 MB. */
const GROWTH_MIB_MAX = 64;
/** As `npm start` runs it, with less memory than all counters have. */
const HEAP = '--max-semi-space-size=8 --max-old-space-size=80';

void t.test('a million counters are read in constant memory', async (t) => {
  const servers = await startServers(t, { ownPostgres: true });
  for (let count = 0; count < COUNTERS; count += INSERTED_AT_ONCE) {
    await sql`
      insert into increments (key, value)
      select gen_random_uuid(), 1000000007
      from generate_series(1, ${INSERTED_AT_ONCE})`.execute(servers.database);
  }
  const gateway = await startGateway(t, servers, { NODE_OPTIONS: HEAP });
  const url = `${gateway.url}/counters`;
  // Node collects garbage late: what it takes for that is there after a part of them, read twice.
  await readLines(`${url}?after=${AFTER}`, gateway.pid);
  const part = await readLines(`${url}?after=${AFTER}`, gateway.pid);
  t.comment(describe(part));
  const whole = await readLines(url, gateway.pid);
  t.comment(describe(whole));
  t.equal(whole.lines, COUNTERS + 1);
  t.match(whole.end, `"counters":${COUNTERS}}\n`);
  const growth = whole.mostMiB - part.mostMiB;
  t.ok(growth < GROWTH_MIB_MAX, `${growth.toFixed(0)} MiB more than for a fifth of them`);
});

interface Reading {
  lines: number;
  bytes: number;
  end: string;
  seconds: number;
  startMiB: number;
  mostMiB: number;
}

async function readLines(url: string, pid: number): Promise<Reading> {
  const startMiB = readMemory(pid);
  const reading: Reading = {
    lines: 0,
    bytes: 0,
    end: '',
    seconds: 0,
    startMiB,
    mostMiB: startMiB,
  };
  const sampling = setInterval(() => {
    reading.mostMiB = Math.max(reading.mostMiB, readMemory(pid));
  }, 20);
  const startedAt = performance.now();
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers: { accept: 'application/x-ndjson' } }, resolve).on('error', reject);
  });
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    reading.bytes += chunk.length;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) reading.lines += 1;
    reading.end = `${reading.end}${chunk.toString()}`.slice(-200);
  }
  reading.seconds = (performance.now() - startedAt) / 1_000;
  clearInterval(sampling);
  return reading;
}

function describe({ lines, bytes, seconds, startMiB, mostMiB }: Reading): string {
  return (
    `${lines} lines, ${(bytes / 1e6).toFixed(0)} MB, in ${seconds.toFixed(1)} s: ` +
    `${Math.round(lines / seconds)} a second; the gateway has ${mostMiB.toFixed(0)} MiB at most, ` +
    `${startMiB.toFixed(0)} before`
  );
}

/** What a process has in memory, in MiB. */
function readMemory(pid: number): number {
  return Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}
