import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { Kysely } from 'kysely';
import type { Test } from 'tap';
import { findFreePort } from '../../mesh/servers/ports.ts';
import { connectToNats } from '../../nats/connect.ts';
import { INCREMENTS } from '../../nats/streams.ts';
import type { Database } from '../../schema/database/tables.ts';
import { startServers, type Servers } from '../support/servers.ts';
import { keepService, type KeptService } from './kept-service.ts';
import { startProxy, type Proxy } from './proxy.ts';

/** So short that a minute holds many flushes; ack_wait is three seconds more. */
export const FLUSH_INTERVAL_MS = 1_500;
/** Long enough that a message is counted and purged while its PubAck is still awaited. */
const PUBLISH_DEADLINE_MS = 6_000;
/** The shortest that a counter allows: a clock that is off by more than it must change nothing. */
const IDEMPOTENCY_KEY_KEPT_MS = 3_600_000;
/** From the first on one counter lives in another time, or one fault alone would see to that. */
const CLOCK_AHEAD_MS = { 'counter-2': 26 * 3_600_000 } as Record<string, number>;
const READY_MS_MAX = 30_000;

const GATEWAYS = ['gateway-1', 'gateway-2'];
const COUNTERS = ['counter-1', 'counter-2'];

/** A service with every connection of its under our hands. */
export interface Member extends KeptService {
  nats: Proxy;
  postgres: Proxy;
  /** A gateway's address. */
  url: string;
}

/** A whole mesh of real processes, made to be tortured. */
export interface TestCluster {
  servers: Servers;
  database: Kysely<Database>;
  gateways: Member[];
  counters: Member[];
  /** What the stream holds, as seen past the proxies. */
  inspect: () => Promise<{ firstSequence: number; messages: number; ackPending: number }>;
  inspector: JetStreamManager;
  close: () => Promise<void>;
}

/** @param root the folder of the services' code: this project, or a copy with a fault in it. */
export async function openTestCluster(root: string): Promise<TestCluster> {
  const endings: (() => unknown)[] = [];
  const close = async () => {
    for (const end of endings.splice(0).toReversed()) await end();
  };
  try {
    const host = { teardown: (end: () => unknown) => endings.push(end) } as unknown as Test;
    const servers = await startServers(host, {
      flushIntervalMs: FLUSH_INTERVAL_MS,
      ownPostgres: true,
    });
    const open = (name: string) => openMember(name, { servers, root, endings });
    const gateways = await Promise.all(GATEWAYS.map(open));
    const counters = await Promise.all(COUNTERS.map(open));

    const connection = await connectToNats({ url: servers.nats.urls.inspector, role: 'inspector' });
    endings.push(() => connection.close());
    const inspector = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
    await Promise.all(gateways.map(untilReady));
    return {
      servers,
      database: servers.database,
      gateways,
      counters,
      inspector,
      inspect: async () => {
        const { state } = await inspector.streams.info(INCREMENTS);
        const { ackPending } = await servers.inspect();
        return { firstSequence: state.first_seq, messages: state.messages, ackPending };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openMember(
  name: string,
  { servers, root, endings }: { servers: Servers; root: string; endings: (() => unknown)[] },
): Promise<Member> {
  const role = name.startsWith('gateway') ? 'gateway' : 'counter';
  const nats = await startProxy('nats', Number(new URL(servers.nats.urls[role]).port));
  const database = role === 'gateway' ? servers.urls.gatewayDatabase : servers.urls.counterDatabase;
  const postgres = await startProxy('postgres', Number(new URL(database).port));
  endings.push(nats.close, postgres.close);

  const port = await findFreePort();
  const kept = keepService({
    name,
    root,
    program: `${role}/main.ts`,
    logFile: join(servers.folder, `${name}.log`),
    clockAheadMs: CLOCK_AHEAD_MS[name] ?? 0,
    environment: {
      NATS_URL: throughPort(servers.nats.urls[role], nats.port),
      NATS_SYNC: 'always',
      DATABASE_URL: throughPort(database, postgres.port),
      OTEL_EXPORTER_PROMETHEUS_PORT: String(await findFreePort()),
      PORT: String(port),
      RATE_LIMIT_MAX: '0',
      PUBLISH_DEADLINE_MS: String(PUBLISH_DEADLINE_MS),
      FLUSH_INTERVAL_MS: String(FLUSH_INTERVAL_MS),
      IDEMPOTENCY_KEY_KEPT_MS: String(IDEMPOTENCY_KEY_KEPT_MS),
    },
  });
  endings.push(kept.stop);
  return { ...kept, nats, postgres, url: `http://127.0.0.1:${port}` };
}

function throughPort(url: string, port: number): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
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
