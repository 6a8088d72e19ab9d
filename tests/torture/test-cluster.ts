import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { connectToNats, type NatsRole } from '../../nats/connect.ts';
import { provision } from '../../nats/provision.ts';
import { COUNTER, INCREMENTS } from '../../nats/streams.ts';
import { openDatabase } from '../../schema/database/database.ts';
import { OWNER } from '../../schema/database/set-up-server.ts';
import type { Database } from '../../schema/database/tables.ts';
import { runCommand, type CommandResult } from '../mesh/cli/run-command.ts';
import { PASSWORDS } from '../support/passwords.ts';
import { startBrokers, type Broker } from './brokers.ts';
import { startDatabaseServer, type DatabaseServer } from './database-server.ts';
import type { Inspection } from './inspection.ts';
import { keepService, type KeptService } from './kept-service.ts';
import type { Loss } from './losses.ts';
import { joinConnections, startProxy, type Connections } from './proxy.ts';

/** So short that a minute holds many flushes; ack_wait is three seconds more. */
export const FLUSH_INTERVAL_MS = 1_500;
/** Long enough that a message is counted and purged while its PubAck is still awaited; in a cluster, the default. */
const PUBLISH_DEADLINE_MS = { alone: 6_000, cluster: 12_000 };
const ANSWER_MARGIN_MS = 3_000;
/** The shortest that a counter allows: a clock that is off by more than it must change nothing. */
const IDEMPOTENCY_KEY_KEPT_MS = 3_600_000;
/** From the first on one counter lives in another time, or one fault alone would see to that. */
const CLOCK_AHEAD_MS = { 'counter-2': 26 * 3_600_000 } as Record<string, number>;
const READY_MS_MAX = 180_000;

const GATEWAYS = ['gateway-1', 'gateway-2'];
const COUNTERS = ['counter-1', 'counter-2'];

/** A service with every connection of its under our hands. */
export interface Member extends KeptService {
  /** To each nats-server. */
  nats: Connections;
  postgres: Connections;
  /** A gateway's address. */
  url: string;
}

/** A whole mesh of real processes, made to be tortured. */
export interface TestCluster extends Inspection {
  /** One, or three. */
  brokers: Broker[];
  /** With a standby where there are three brokers. */
  postgres: DatabaseServer;
  gateways: Member[];
  counters: Member[];
  /** What the stream holds, as seen past the proxies. */
  inspect: () => Promise<{ firstSequence: number; messages: number; ackPending: number }>;
  manager: JetStreamManager;
  provisionerUrl: string;
  /** What `npm run provision` does to NATS. */
  provision: () => Promise<void>;
  /** Of `npm run mesh --`, as an operator runs it. */
  runCommand: (line: string) => Promise<CommandResult>;
  /** What operators gave up. */
  losses: Loss[];
  /** Longer than a gateway waits for NATS. */
  answerMsMax: number;
  close: () => Promise<void>;
}

/** What members are made of. */
interface Surroundings {
  root: string;
  folder: string;
  brokers: Broker[];
  postgres: DatabaseServer;
  publishDeadlineMs: number;
  endings: (() => unknown)[];
}

/** @param root the folder of the services' code: this project, or a copy with a fault in it. */
export async function openTestCluster(root: string, natsNodes: number): Promise<TestCluster> {
  const endings: (() => unknown)[] = [];
  const close = async () => {
    for (const end of endings.splice(0).toReversed()) await end();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'increment-mesh-torture-'));
    chmodSync(folder, 0o755);
    endings.push(() => rmSync(folder, { recursive: true, force: true }));
    const isCluster = natsNodes > 1;
    const [brokers, postgres] = await Promise.all([
      startBrokers(folder, natsNodes),
      startDatabaseServer(folder, { hasStandby: isCluster }),
    ]);
    endings.push(brokers.stop, postgres.stop);
    const { urls } = brokers;
    const provisionAll = () =>
      provision({
        url: urls.provisioner,
        replicas: natsNodes,
        flushIntervalMs: FLUSH_INTERVAL_MS,
      });
    await provisionAll();

    const { database, ownerUrl } = await openJudge(postgres, endings);
    const inspector = await openManager(urls, 'inspector', endings);
    const publishDeadlineMs = PUBLISH_DEADLINE_MS[isCluster ? 'cluster' : 'alone'];
    const surroundings = {
      root,
      folder,
      brokers: brokers.all,
      postgres,
      publishDeadlineMs,
      endings,
    };
    const open = (name: string) => openMember(name, surroundings);
    const gateways = await Promise.all(GATEWAYS.map(open));
    const counters = await Promise.all(COUNTERS.map(open));
    await Promise.all(gateways.map(untilReady));
    return {
      brokers: brokers.all,
      postgres,
      database,
      gateways,
      counters,
      inspector,
      inspect: async () => {
        const { state } = await inspector.streams.info(INCREMENTS);
        const { num_ack_pending: ackPending } = await inspector.consumers.info(INCREMENTS, COUNTER);
        return { firstSequence: state.first_seq, messages: state.messages, ackPending };
      },
      manager: await openManager(urls, 'provisioner', endings),
      provisionerUrl: urls.provisioner,
      provision: provisionAll,
      runCommand: (line) =>
        runCommand(`${line} --nats-url ${urls.provisioner} --database-url ${ownerUrl}`, {}),
      losses: [],
      answerMsMax: publishDeadlineMs + ANSWER_MARGIN_MS,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The judge's own way to the primary, whichever that is. */
async function openJudge(
  postgres: DatabaseServer,
  endings: (() => unknown)[],
): Promise<{ database: Kysely<Database>; ownerUrl: string }> {
  const proxy = await startProxy('bytes', () => postgres.port);
  const database = openDatabase(databaseUrl('postgres', PASSWORDS.superuser, proxy.port), {
    name: 'test',
    connectionsMax: 2,
    queryTimeoutMs: 30_000,
    onBrokenConnection: () => undefined,
  });
  endings.push(proxy.close, () => database.destroy());
  return { database, ownerUrl: databaseUrl(OWNER, PASSWORDS.owner, proxy.port) };
}

async function openManager(
  urls: Record<NatsRole, string>,
  role: NatsRole,
  endings: (() => unknown)[],
): Promise<JetStreamManager> {
  const connection = await connectToNats({ url: urls[role], role });
  endings.push(() => connection.close());
  return jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
}

async function openMember(name: string, surroundings: Surroundings): Promise<Member> {
  const { root, folder, brokers, postgres, publishDeadlineMs, endings } = surroundings;
  const role = name.startsWith('gateway') ? 'gateway' : 'counter';
  const toBrokers = await Promise.all(
    brokers.map(async (broker) => {
      const proxy = await startProxy('nats', () => broker.port);
      broker.clients.push({ proxy, isDialer: false });
      return proxy;
    }),
  );
  const toPostgres = await startProxy('postgres', () => postgres.port);
  for (const { close } of [...toBrokers, toPostgres]) endings.push(close);
  const natsUrls = toBrokers.map(
    ({ port }) => `nats://${role}:${PASSWORDS[role]}@127.0.0.1:${port}`,
  );

  const port = await findFreePort();
  const kept = keepService({
    name,
    root,
    program: `${role}/main.ts`,
    logFile: join(folder, `${name}.log`),
    clockAheadMs: CLOCK_AHEAD_MS[name] ?? 0,
    environment: {
      NATS_URL: natsUrls.join(','),
      NATS_SYNC: 'always',
      DATABASE_URL: databaseUrl(`mesh_${role}`, PASSWORDS[role], toPostgres.port),
      OTEL_EXPORTER_PROMETHEUS_PORT: String(await findFreePort()),
      PORT: String(port),
      RATE_LIMIT_MAX: '0',
      PUBLISH_DEADLINE_MS: String(publishDeadlineMs),
      FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS),
      IDEMPOTENCY_KEY_KEPT_MS: String(IDEMPOTENCY_KEY_KEPT_MS),
    },
  });
  endings.push(kept.stop);
  const nats = joinConnections(toBrokers);
  return { ...kept, nats, postgres: toPostgres, url: `http://127.0.0.1:${port}` };
}

function databaseUrl(user: string, password: string, port: number): string {
  return `postgres://${user}:${password}@127.0.0.1:${port}/increments`;
}

async function untilReady({ name, url, unexpectedEnds }: Member): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  for (;;) {
    const isReady = await fetch(`${url}/readyz`).then(
      async (answer) => {
        await answer.body?.cancel();
        return answer.ok;
      },
      () => false,
    );
    if (isReady) return;
    if (performance.now() > deadline) {
      throw new Error(`${name} is not ready: ${unexpectedEnds.join('; ')}`);
    }
    await delay(50);
  }
}
