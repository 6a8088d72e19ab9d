import type { HTTPMethods } from 'fastify';
import type { Test } from 'tap';
import { buildGateway, type GatewayOptions } from '../../gateway/app.ts';
import { createReadiness } from '../../gateway/health/readiness.ts';
import { createPublishQueues } from '../../gateway/increments/publish-queues.ts';
import type { OutgoingMessage } from '../../nats/publisher.ts';
import { createStats } from '../../gateway/telemetry/stats.ts';
import { openDatabase } from '../../schema/database/database.ts';
import { mintId } from '../../schema/message/message-id.ts';
import { createLog } from '../../telemetry/log.ts';
import type { Answer } from '../support/load.ts';

export interface TestGateway {
  app: Awaited<ReturnType<typeof buildGateway>>;
  /** The messages that a broker would have on its disk. */
  stored: OutgoingMessage[];
  /** Asks without a connection. */
  send: (
    path: string,
    request?: { method?: HTTPMethods; body?: string; headers?: Record<string, string> },
  ) => Promise<Answer>;
  post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>;
}

/**
 * The HTTP side of a gateway in this process, with a publisher that stores in an array. The database
 * is away: what reads it answers 503.
 */
export async function buildTestGateway(
  t: Test,
  options: Partial<GatewayOptions> & { bodyBytesMax?: number } = {},
): Promise<TestGateway> {
  const { bodyBytesMax = 1_000_000, ...given } = options;
  const stored: OutgoingMessage[] = [];
  const queues = createPublishQueues({
    publisher: {
      isConnected: true,
      bodyBytesMax,
      onConnectionChange: () => undefined,
      publish: (message) => Promise.resolve({ sequence: stored.push(message) }),
    },
    deadlineMs: 5_000,
    makeId: () => mintId(Date.now()),
    waitingMax: 100,
    onPublished: () => undefined,
  });
  const database = openDatabase('postgres://mesh_gateway:x@127.0.0.1:1/none', {
    name: 'test',
    connectionsMax: 1,
    queryTimeoutMs: 1_000,
    onBrokenConnection: () => undefined,
  });
  const silent = { publish: () => undefined, subscribe: () => () => undefined };
  const app = await buildGateway({
    queues,
    waitingMax: 100,
    database,
    clears: {
      send: () => Promise.resolve({ outcome: 'not-counted' }),
      drain: () => Promise.resolve(),
    },
    stats: createStats(),
    rateLimit: { max: 0, batchMax: 0, windowMs: 60_000, channel: silent },
    hosts: {
      listeningHost: '127.0.0.1',
      allowedHosts: [],
      allowedOrigins: [],
      hasOtherAddresses: false,
    },
    corsOrigins: [],
    keepAliveTimeoutMs: 65_000,
    connectionsPerAddressMax: 1_000,
    brokerTimeMs: Date.now,
    readiness: createReadiness({
      isStopping: () => false,
      isBrokerConnected: () => true,
      isStreamThere: () => true,
      readRisk: () => undefined,
      readStoreProblem: () => undefined,
    }),
    databaseWatch: {
      read: () => Promise.resolve({ state: 'answers', detail: '', parked: undefined }),
    },
    warnOfDatabase: () => undefined,
    diagnosis: { findings: [] },
    meshView: { watch: () => () => undefined },
    log: createLog('gateway', 'silent'),
    ...given,
  });
  t.teardown(async () => {
    await app.close();
    await database.destroy();
  });

  const send: TestGateway['send'] = async (path, { method = 'GET', body, headers = {} } = {}) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await app.inject({
      method,
      url: path,
      headers: { ...type, ...headers },
      ...(body !== undefined && { payload: body }),
    });
    const headersOf = answer.headers as Answer['headers'];
    return { status: answer.statusCode, headers: headersOf, body: answer.body };
  };
  const post: TestGateway['post'] = (path, body, headers = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return send(path, { method: 'POST', body: text, headers });
  };
  return { app, stored, send, post };
}
