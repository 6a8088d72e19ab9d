import { sql } from 'kysely';
import { randomUUIDv7 } from 'node:crypto';
import t, { type Test } from 'tap';
import type { CounterActivity } from '../../../schema/message/heartbeat.ts';
import { makeKeys, untilCounted } from '../../support/counters.ts';
import { hearCounters } from '../../support/counter-heartbeats.ts';
import { freezeTree, sendSignal } from '../../support/freeze.ts';
import { startServers, type Servers, type ServersOptions } from '../../support/servers.ts';
import { startCounter } from '../../support/services.ts';
import { openStreams } from '../../support/stream.ts';

/** With the second between two heartbeats, and what a busy machine takes. */
const REPORTED_MS_MAX = 7_000;

// They wait more than they compute.
t.jobs = 2;

interface Fault {
  kind: string;
  detail: RegExp;
  /** @returns what ends it. */
  begin: (servers: Servers) => Promise<() => Promise<void>>;
  said: RegExp;
}

const FROZEN: Fault = {
  kind: 'silent',
  detail: /^no answer within 2 s/,
  said: /^PostgreSQL does not answer \(no answer.*\)\. .* wait in the stream, uncounted\. See whether it is frozen/,
  begin: async ({ postgres }) => {
    const pids = await freezeTree(postgres.pid);
    return async () => pids.forEach((pid) => sendSignal(pid, 'SIGCONT'));
  },
};
const KILLED: Fault = {
  kind: 'away',
  detail: /terminated|ECONNREFUSED|closed|reset/i,
  said: /^PostgreSQL can not be reached \(.*\)\. .* See whether it runs/,
  begin: async (servers) => {
    servers.postgres.kill('SIGQUIT');
    await servers.postgres.exited;
    return servers.restartPostgres;
  },
};
const REVOKED: Fault = {
  kind: 'denied',
  detail: /^42501 as mesh_counter: permission denied for table idempotency_keys/,
  said: /^PostgreSQL does not let the counter services write \(42501 .*npm run provision/,
  begin: (servers) =>
    change(servers, {
      begin: 'revoke insert on idempotency_keys from mesh_counter',
      end: 'grant insert on idempotency_keys to mesh_counter',
    }),
};
const TRIGGER: Fault = {
  kind: 'refuses',
  detail: /^P0001 as mesh_counter: not today/,
  said: /^PostgreSQL refuses what counter services write \(P0001 .*Look for a trigger/,
  begin: (servers) =>
    change(servers, {
      begin: `
        create function refuse() returns trigger language plpgsql as
          $$ begin raise 'not today'; end $$;
        create trigger refuse before insert on increments for each row execute function refuse()`,
      end: 'drop trigger refuse on increments',
    }),
};
const LOCKED: Fault = {
  kind: 'silent',
  detail: /^55P03 as mesh_counter: .*lock timeout; a session keeps a lock/,
  said: /^PostgreSQL does not answer \(55P03/,
  begin: async ({ database }) => {
    const transaction = await database.startTransaction().execute();
    await sql`lock table ledger in exclusive mode`.execute(transaction);
    return () => transaction.rollback().execute();
  },
};
const FULL: Fault = {
  kind: 'full',
  detail: /^53300 as mesh_counter: too many connections for role/,
  said: /^PostgreSQL has no room .*\(53300/,
  begin: async (servers) => {
    const end = await change(servers, {
      begin: 'alter role mesh_counter connection limit 0',
      end: 'alter role mesh_counter connection limit -1',
    });
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mesh_counter'`.execute(
      servers.database,
    );
    return end;
  },
};

void t.test('an idle counter service reports within seconds what keeps it from writing', (t) =>
  reports(t, { REVOKED, TRIGGER, LOCKED }),
);

void t.test('and so does one that is at work, where PostgreSQL itself is in trouble', (t) =>
  reports(t, { FROZEN, KILLED, FULL }, { ownPostgres: true, isBusy: true }),
);

async function reports(
  t: Test,
  faults: Record<string, Fault>,
  { isBusy = false, ...options }: ServersOptions & { isBusy?: boolean } = {},
): Promise<void> {
  const servers = await startServers(t, { flushIntervalMs: 300, ...options });
  const counter = await startCounter(t, servers, { FLUSH_INTERVAL_MS: '300' });
  const heartbeats = await hearCounters(t, servers);
  const streams = await openStreams(t, servers);
  const [key = ''] = makeKeys(1);
  let stored = 0;
  async function store(): Promise<void> {
    const increments = [{ key, value: 1 }];
    await streams.store(JSON.stringify({ version: 1, id: randomUUIDv7(), increments }));
    stored++;
  }

  const traffic = isBusy ? setInterval(() => void store(), 100) : undefined;
  t.teardown(() => clearInterval(traffic));
  for (const [name, { kind, detail, begin, said }] of Object.entries(faults)) {
    const linesBefore = counter.log.length;
    const end = await begin(servers);
    const isReported = (seen: CounterActivity) => seen.database_problem?.kind === kind;
    const seen = await heartbeats.until(name, isReported, REPORTED_MS_MAX);
    t.match(seen.database_problem?.detail, detail);
    t.equal(seen.database_connected, false);

    await end();
    const isOver = ({ database_connected: isConnected }: CounterActivity) => isConnected;
    const after = await heartbeats.until(`the end of ${name}`, isOver, REPORTED_MS_MAX);
    t.equal(after.database_problem, undefined);
    const lines = counter.log.slice(linesBefore).filter(({ msg }) => msg.startsWith('PostgreSQL'));
    t.match(lines, [{ msg: said }, { msg: 'PostgreSQL takes writes again' }], 'said once');
    t.equal(lines.length, 2);
  }
  clearInterval(traffic);
  await store();
  await untilCounted(servers.database, key, stored);
}

async function change(
  { database }: Servers,
  { begin, end }: { begin: string; end: string },
): Promise<() => Promise<void>> {
  await sql.raw(begin).execute(database);
  return async () => void (await sql.raw(end).execute(database));
}
