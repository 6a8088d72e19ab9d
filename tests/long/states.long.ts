import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { jetstreamManager } from '@nats-io/jetstream';
import { sql } from 'kysely';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { connectToNats } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { COUNTER, INCREMENTS, INCREMENTS_DEAD } from '../../nats/streams.ts';
import type { Finding, FindingName } from '../../telemetry/diagnosis/findings.ts';
import { commandsOn, runCommand, type RunCommand } from '../mesh/cli/run-command.ts';
import { startClusterMesh } from '../mesh/cluster-mesh.ts';
import { freezeTree, sendSignal } from '../support/freeze.ts';
import { makeKeys } from '../support/counters.ts';
import { post, send } from '../support/load.ts';
import { startServers } from '../support/servers.ts';
import { startCounter, startGateway, type Service } from '../support/services.ts';
import { openStreams } from '../support/stream.ts';
import { until } from '../support/until.ts';
import { startPrometheus } from '../telemetry/prometheus.ts';
import { startBrowser } from '../system/browser.ts';

/*
 * Each state of a mesh, and the seconds until /readyz, `status` and the console have its true headline.
 * The figures that it prints are those of docs/operations.md: npm run test:long -- tests/long/states.long.ts
 */

/** Whoever is on call reads the true cause within ten seconds, on any of them. */
const TOLD_MS_MAX = 10_000;
const ALERT_MS_MAX = 30_000;
const OVER_MS_MAX = 60_000;
const CLOCK = fileURLToPath(new URL('../torture/clock.ts', import.meta.url));
const BATCH = 1_000;

t.setTimeout(900_000);

interface State {
  state: string;
  /** The headline's name, and its cause. */
  finds: FindingName;
  /** Several are true: a gateway whose own broker is gone says so first. */
  isAmong?: boolean;
  /** How long it may take: a server that is silent is away after four seconds, and to see that takes some looks. */
  toldMsMax?: number;
  /** A ticket may take longer, and what is over sooner is no alert. */
  isAlerted?: boolean;
  says: RegExp;
  /** @returns what mends it. */
  begin: () => Promise<() => Promise<unknown>>;
}

await t.test('every state has its true headline on three faces within ten seconds', async (t) => {
  const servers = await startServers(t, { ownPostgres: true, flushIntervalMs: 9_000 });
  const { database, urls } = servers;
  const FLUSH = { FLUSH_INTERVAL_MS: '2000' };
  const counters = new Map<string, Service>();
  const gateways = new Map<string, Service>();
  /** Of the metrics: a service that is started again is found where it was. */
  const ports = new Map<string, number>();
  const start = async (name: string, environment: NodeJS.ProcessEnv = {}) => {
    const isGateway = name.startsWith('gateway');
    const port = ports.get(name);
    const named = {
      ...FLUSH,
      INSTANCE_NAME: name,
      ...(port !== undefined && { OTEL_EXPORTER_PROMETHEUS_PORT: String(port) }),
      ...environment,
    };
    const service = await (isGateway ? startGateway : startCounter)(t, servers, named);
    (isGateway ? gateways : counters).set(name, Object.assign(service, { name }));
  };
  const names = ['gateway-1', 'gateway-2', 'counter-1', 'counter-2'];
  for (const name of names) ports.set(name, await findFreePort());
  await Promise.all(names.map((name) => start(name)));
  const streams = await openStreams(t, servers);
  const connection = await connectToNats({ url: urls.nats.provisioner, role: 'provisioner' });
  t.teardown(() => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const reprovision = () =>
    provision({ url: urls.nats.provisioner, replicas: 1, flushIntervalMs: 9_000 });
  const faces = await openFaces(t, gateways.get('gateway-1')!.url, () =>
    commandsOn(servers, { gateways: [...gateways.values()], counters: [...counters.values()] }),
  );
  const traffic = keepPosting(t, gateways.get('gateway-1')!.url);

  const updateStream = async (change: object) => {
    const { config } = await manager.streams.info(INCREMENTS);
    await manager.streams.update(INCREMENTS, { ...config, ...change });
  };
  const bytesMax = (await manager.streams.info(INCREMENTS)).config.max_bytes;
  const asAdmin = (statement: string) => sql.raw(statement).execute(database);
  const onEach = (flush: string) =>
    `create or replace function slow() returns trigger language plpgsql as $$ begin ${flush} return null; end $$;
     create trigger slow after insert or update on increments for each statement execute function slow()`;
  const endSessions = `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mesh_counter'`;
  const withoutTrigger = () => asAdmin('drop trigger slow on increments');

  const STATES: State[] = [
    {
      state: 'a counter service is killed',
      finds: 'CounterGone',
      says: /counter-2 died/,
      begin: async () => {
        counters.get('counter-2')!.kill('SIGKILL');
        return () => start('counter-2');
      },
    },
    {
      state: 'a counter service is frozen',
      finds: 'CounterGone',
      says: /counter-2 is frozen/,
      begin: async () => {
        counters.get('counter-2')!.kill('SIGSTOP');
        return async () => counters.get('counter-2')!.kill('SIGCONT');
      },
    },
    {
      state: 'counter services are slow',
      finds: 'SlowFlush',
      says: /Flushes take seconds/,
      isAlerted: false,
      begin: async () => {
        await asAdmin(onEach('perform pg_sleep(3);'));
        return withoutTrigger;
      },
    },
    {
      state: 'a gateway is killed',
      finds: 'GatewayGone',
      says: /Gateway gateway-2 died/,
      begin: async () => {
        gateways.get('gateway-2')!.kill('SIGKILL');
        return () => start('gateway-2');
      },
    },
    {
      state: 'the broker is killed',
      finds: 'BrokerAway',
      says: /The broker can not be reached/,
      begin: async () => {
        servers.nats.kill('SIGKILL');
        return () => servers.restartNats();
      },
    },
    {
      state: 'the broker is frozen',
      finds: 'BrokerSilent',
      says: /The broker does not answer/,
      begin: async () => {
        servers.nats.kill('SIGSTOP');
        return async () => servers.nats.kill('SIGCONT');
      },
    },
    {
      state: 'the stream is full',
      finds: 'StreamFull',
      says: /The stream is full/,
      begin: async () => {
        await updateStream({ max_bytes: 100 });
        return () => updateStream({ max_bytes: bytesMax });
      },
    },
    {
      state: 'the stream is nearly full',
      finds: 'StreamNearlyFull',
      says: /The stream is \d\d % full/,
      isAlerted: false,
      begin: async () => {
        // What counter services hold stays in the stream, so they hold it for longer than it takes to be seen.
        for (const name of counters.keys()) {
          await counters.get(name)!.stop();
          await start(name, { FLUSH_INTERVAL_MS: '9000' });
        }
        const body = JSON.stringify(
          Array.from({ length: BATCH }, () => ({ key: makeKeys(1)[0], value: 1 })),
        );
        for (let batch = 0; batch < 20; batch++) {
          await send(`${gateways.get('gateway-1')!.url}/increments`, { method: 'POST', body });
        }
        const { bytes } = (await manager.streams.info(INCREMENTS)).state;
        await updateStream({ max_bytes: Math.ceil(bytes / 0.88) });
        return async () => {
          await updateStream({ max_bytes: bytesMax });
          for (const name of counters.keys()) {
            await counters.get(name)!.stop();
            await start(name);
          }
        };
      },
    },
    {
      state: 'the consumer is deleted',
      finds: 'ConsumerGone',
      says: /The consumer of the stream is not there/,
      begin: async () => {
        await manager.consumers.delete(INCREMENTS, COUNTER);
        return reprovision;
      },
    },
    {
      state: 'the consumer is paused',
      finds: 'ConsumerPaused',
      says: /The consumer of the stream is paused/,
      begin: async () => {
        await manager.consumers.pause(INCREMENTS, COUNTER, new Date(Date.now() + 3_600_000));
        return reprovision;
      },
    },
    {
      state: 'PostgreSQL is killed',
      finds: 'DatabaseAway',
      says: /PostgreSQL can not be reached/,
      begin: async () => {
        servers.postgres.kill('SIGQUIT');
        return () => servers.restartPostgres();
      },
    },
    {
      state: 'PostgreSQL is frozen',
      finds: 'DatabaseSilent',
      says: /PostgreSQL does not answer/,
      begin: async () => {
        const pids = await freezeTree(servers.postgres.pid);
        return async () => pids.forEach((pid) => sendSignal(pid, 'SIGCONT'));
      },
    },
    {
      state: 'PostgreSQL is read-only',
      finds: 'DatabaseReadOnly',
      says: /it is read-only/,
      begin: async () => {
        // As one that DATABASE_URL leads to after a fail-over. Sessions of services override a setting.
        const { rows } = await sql<{ folder: string }>`
          select current_setting('data_directory') as folder`.execute(database);
        const file = join(rows[0]!.folder, 'standby.signal');
        const restart = () => {
          servers.postgres.kill('SIGINT');
          return servers.restartPostgres();
        };
        writeFileSync(file, '');
        await restart();
        return () => {
          rmSync(file);
          return restart();
        };
      },
    },
    {
      state: 'PostgreSQL has no connection to spare',
      finds: 'DatabaseFull',
      says: /no connection or memory to spare/,
      begin: async () => {
        await asAdmin('alter role mesh_counter connection limit 0');
        await asAdmin(endSessions);
        return () => asAdmin('alter role mesh_counter connection limit -1');
      },
    },
    {
      state: 'a right is missing in PostgreSQL',
      finds: 'DatabaseDenied',
      says: /does not let the counter services write/,
      begin: async () => {
        await asAdmin('revoke insert, update on increments from mesh_counter');
        return () => asAdmin('grant insert, update on increments to mesh_counter');
      },
    },
    {
      state: 'a trigger refuses every row',
      finds: 'DatabaseRefuses',
      says: /PostgreSQL refuses what counter services write/,
      begin: async () => {
        await asAdmin(onEach(`raise exception 'no';`));
        return withoutTrigger;
      },
    },
    {
      state: 'a clock is off',
      finds: 'ClockSkew',
      says: /The clock of .* differs/,
      isAlerted: false,
      begin: async () => {
        await start('gateway-3', { NODE_OPTIONS: `--import=${CLOCK}`, CLOCK_AHEAD_MS: '7200000' });
        return async () => {
          await gateways.get('gateway-3')!.stop();
          gateways.delete('gateway-3');
        };
      },
    },
    {
      state: 'a newer publisher is at work',
      finds: 'MessagesParked',
      says: /A newer publisher is at work/,
      begin: async () => {
        await streams.store('{"version":7,"id":"00000000-0000-7000-8000-000000000001"}');
        return () => asAdmin('delete from parked_messages');
      },
    },
    {
      state: 'dead letters wait',
      finds: 'DeadLetters',
      says: /1 dead letter waits/,
      begin: async () => {
        await streams.store('not JSON');
        return () => manager.streams.purge(INCREMENTS_DEAD);
      },
    },
    // The last, since it lasts.
    {
      state: 'the stream is sealed',
      finds: 'StreamRefuses',
      says: /The stream refuses messages/,
      begin: async () => {
        await updateStream({ sealed: true });
        return () => Promise.resolve();
      },
    },
  ];

  const jobs = ['gateway', 'counter'].map((kind) => {
    const targets = names
      .filter((name) => name.startsWith(kind))
      .map((name) => `127.0.0.1:${ports.get(name)}`);
    return { job_name: kind, static_configs: [{ targets }] };
  });
  // As the collector asks in operation.
  const prometheus = await startPrometheus(t, () => jobs, '5s');
  await showEach(t, STATES, faces, async (name) => {
    const firing = await prometheus.query(`ALERTS{alertname="${name}",alertstate="firing"}`);
    return firing.length > 0;
  });
  await traffic.end();
});

await t.test('and so has every state of a cluster', async (t) => {
  const mesh = await startClusterMesh(t);
  const url = `http://127.0.0.1:${mesh.port}`;
  const environment = { DATA_DIR: mesh.dataDir };
  const faces = await openFaces(t, url, () => (line) => runCommand(line, environment));
  const traffic = keepPosting(t, url);
  const freezeSome = async (names: string[]) => {
    const pids = names.map(mesh.pidOf);
    pids.forEach((pid) => sendSignal(pid, 'SIGSTOP'));
    return async () => pids.forEach((pid) => sendSignal(pid, 'SIGCONT'));
  };
  await showEach(
    t,
    [
      {
        state: 'a replica is lost',
        finds: 'ReplicaLost',
        isAmong: true,
        toldMsMax: 15_000,
        says: /Not every replica is current/,
        begin: async () => {
          const leader = await mesh.findLeader();
          return freezeSome(mesh.names.nats.filter((name) => name !== leader).slice(0, 1));
        },
      },
      {
        state: 'the stream has no leader',
        finds: 'StreamAway',
        isAmong: true,
        says: /No server stores the stream|The broker does not answer|The stream acknowledges nothing/,
        begin: async () => freezeSome(mesh.names.nats.slice(0, 2)),
      },
    ],
    faces,
  );
  await traffic.end();
});

/** @param isFiring whether the alert of that name fires, where there are alerts. */
async function showEach(
  t: Test,
  states: State[],
  faces: Awaited<ReturnType<typeof openFaces>>,
  isFiring?: (name: FindingName) => Promise<boolean>,
): Promise<void> {
  const only = process.env['STATE'] ?? '';
  for (const {
    state,
    finds,
    says,
    begin,
    toldMsMax = TOLD_MS_MAX,
    isAmong = false,
    isAlerted = true,
  } of states) {
    if (!state.includes(only)) continue;
    await t.test(state, async (t) => {
      await faces.untilWell();
      const mend = await begin();
      const begunAt = performance.now();
      let alert = '';
      const toldMs = await faces
        .untilTold({ finds, says, isAmong })
        .then(async (told) => {
          if (isFiring === undefined || !isAlerted) return told;
          await until(`the alert ${finds}`, () => isFiring(finds), Boolean, 2 * ALERT_MS_MAX);
          const alertMs = performance.now() - begunAt;
          t.ok(alertMs <= ALERT_MS_MAX, `alert: ${alertMs} ms`);
          alert = `, alert ${(alertMs / 1_000).toFixed(0)} s`;
          return told;
        })
        .finally(mend);
      const text = Object.entries(toldMs).map(
        ([face, ms]) => `${face} ${(ms / 1_000).toFixed(1)} s`,
      );
      t.comment(`${state} → ${finds}: ${text.join(', ')}${alert}`);
      for (const [face, ms] of Object.entries(toldMs)) t.ok(ms <= toldMsMax, `${face}: ${ms} ms`);
    });
  }
}

type FaceName = 'readyz' | 'console' | 'status';

type Expected = Required<Pick<State, 'finds' | 'says' | 'isAmong'>>;

/** A face shows the headline: name, or text for the page. */
interface Face {
  isTold: (expected: Expected) => Promise<boolean>;
  isWell: () => Promise<boolean>;
  describe: () => string;
}

async function openFaces(t: Test, url: string, commands: () => RunCommand) {
  const browser = await startBrowser(t);
  const page = await browser.newPage();
  t.teardown(() => page.close());
  await page.goto(`${url}/`);
  const faces: Record<FaceName, Face> = {
    readyz: jsonFace(async () => {
      const { body } = await send(`${url}/readyz`);
      return JSON.parse(body) as { findings: Finding[] };
    }),
    console: pageFace(page),
    status: jsonFace(async () => {
      const { answer } = await commands()('status --json');
      return answer() as { findings: Finding[] };
    }),
  };
  return {
    untilWell: () =>
      Promise.all(
        Object.entries(faces).map(([name, face]) =>
          until(`${name} says that all is well`, face.isWell, Boolean, OVER_MS_MAX).catch(
            (error: Error) => {
              throw new Error(`${error.message}; it says: ${face.describe()}`);
            },
          ),
        ),
      ),
    /** @returns for each face how long it took, in milliseconds. */
    untilTold: async (expected: Expected) => {
      const begunAt = performance.now();
      const told = await Promise.all(
        Object.entries(faces).map(async ([face, { isTold, describe }]) => {
          await until(
            `${face}: ${expected.finds}`,
            () => isTold(expected),
            Boolean,
            2 * TOLD_MS_MAX,
          ).catch((error: Error) => {
            throw new Error(`${error.message}; it says: ${describe()}`);
          });
          return [face, performance.now() - begunAt] as const;
        }),
      );
      return Object.fromEntries(told);
    },
  };
}

function jsonFace(read: () => Promise<{ findings: Finding[] }>): Face {
  let last: Finding[] = [];
  const look = async () => {
    last = (await read().catch(() => ({ findings: last }))).findings;
    return last[0];
  };
  return {
    isTold: async ({ finds, says, isAmong }) => {
      const headline = await look();
      if (isAmong) return last.some(({ cause }) => says.test(cause));
      return headline?.name === finds && says.test(headline.cause);
    },
    isWell: async () => (await look()) === undefined,
    describe: () => JSON.stringify(last),
  };
}

function pageFace(page: Page): Face {
  let last = '';
  const look = async (place = 'h1') => (last = (await page.locator(place).textContent()) ?? '');
  return {
    isTold: async ({ says, isAmong }) => says.test(await look(isAmong ? 'body' : 'h1')),
    isWell: async () => /^\s*Counting/.test(await look()),
    describe: () => last,
  };
}

/** As little traffic as a quiet mesh has; what comes of it does not matter here. */
function keepPosting(t: Test, url: string): { end: () => Promise<void> } {
  let isEnding = false;
  const [key] = makeKeys(1);
  const run = async () => {
    while (!isEnding) {
      await post(url, { key, value: 1 }).catch(() => undefined);
      await delay(200);
    }
  };
  const posting = run();
  const end = async () => {
    isEnding = true;
    await posting;
  };
  t.teardown(end);
  return { end };
}
