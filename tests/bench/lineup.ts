import { findFreePort } from '../../mesh/servers/ports.ts';
import { readCounters } from '../support/counters.ts';
import type { Contender, MeasuredProcess } from './harness/contender.ts';
import { meshContender } from './harness/mesh.ts';
import { startNatsCounters } from './harness/nats-counters.ts';
import { startProgram } from './harness/program.ts';
import { findRedis, startRedis } from './harness/redis.ts';
import type { Scope } from './harness/scope.ts';
import { countMessages, readDatabaseDisk, startBroker, startDatabase } from './harness/servers.ts';
import { compareNumbers, compareSums, countOf, sumOfAll } from './harness/sums.ts';

/** What a user could take instead, each as one HTTP process before its store. */
export function lineUp(options: { gateways: number; counters: number }): Contender[] {
  const { gateways, counters } = options;
  const many = gateways + counters === 2 ? '' : ` (${gateways} gateways, ${counters} counters)`;
  return [
    ceiling,
    bareHttp,
    publishPerRequest,
    upsertPerRequest,
    redisIncrby,
    natsIncr,
    meshContender('mesh', `**increment-mesh${many}: on disk before the 200, counted once**`, {
      gateways,
      counters,
    }),
  ];
}

export const ceiling: Contender = {
  name: 'fastify-nothing',
  about: 'Fastify, same schema and validator, stores nothing',
  start: async (scope, { profileFolder }) => {
    const { url, processes } = await startFront(scope, 'fastify-nothing', {}, profileFolder);
    return { url, processes, check: () => Promise.resolve({ what: 'nothing is stored' }) };
  },
};

const bareHttp: Contender = {
  name: 'bare-http',
  about: 'bare `node:http`, parses and answers, checks and stores nothing',
  start: async (scope, { profileFolder }) => {
    const { url, processes } = await startFront(scope, 'bare-http', {}, profileFolder);
    return { url, processes, check: () => Promise.resolve({ what: 'nothing is stored' }) };
  },
};

const publishPerRequest: Contender = {
  name: 'publish-per-request',
  about: 'one JetStream publish a request, synced; nobody counts them',
  start: async (scope, { folder, profileFolder }) => {
    const broker = await startBroker(scope, folder);
    const environment = { NATS_URL: broker.urls.gateway };
    const front = await startFront(scope, 'publish-per-request', environment, profileFolder);
    return {
      url: front.url,
      processes: [...front.processes, ...broker.processes],
      check: async (sent) => {
        const requests = countOf(sent, (each) => each.requests);
        compareNumbers('messages in the stream', await countMessages(broker), requests);
        return { what: 'number of messages' };
      },
      readDisk: async () => ({ 'nats-server': { syncs: await countMessages(broker) } }),
    };
  },
};

const upsertPerRequest: Contender = {
  name: 'upsert-per-request',
  about: 'one SQL upsert a request, over 20 connections, committed',
  start: async (scope, { folder, profileFolder }) => {
    const postgres = await startDatabase(scope, folder);
    const environment = { DATABASE_URL: postgres.urls.counter };
    const front = await startFront(scope, 'upsert-per-request', environment, profileFolder);
    return {
      url: front.url,
      processes: [...front.processes, { name: 'postgres', pid: postgres.pid, isFamily: true }],
      check: async (sent) => ({
        what: compareSums(await readCounters(postgres.database), sumOfAll(sent)),
      }),
      readDisk: async () => ({ postgres: await readDatabaseDisk(postgres.database) }),
    };
  },
};

const redisIncrby: Contender = {
  name: 'redis-incrby',
  about: 'one Redis `INCRBY` a request, `everysec`: the last two seconds can be lost',
  missing: async () =>
    (await findRedis()) !== undefined ? undefined : 'there is no redis-server on the PATH',
  start: async (scope, { folder, profileFolder }) => {
    const redis = await startRedis(scope, folder);
    const environment = { REDIS_PORT: String(redis.port) };
    const front = await startFront(scope, 'redis-incrby', environment, profileFolder);
    return {
      url: front.url,
      processes: [...front.processes, { name: 'redis-server', pid: redis.pid }],
      check: async (sent) => {
        const sums = sumOfAll(sent);
        return { what: compareSums(await redis.read([...sums.keys()]), sums) };
      },
    };
  },
};

const natsIncr: Contender = {
  name: 'nats-incr',
  about: "NATS' own counters (`Nats-Incr`), one publish a request, synced",
  start: async (scope, { folder, profileFolder }) => {
    const counters = await startNatsCounters(scope, folder);
    const environment = { NATS_URL: counters.url };
    const front = await startFront(scope, 'nats-incr', environment, profileFolder);
    return {
      url: front.url,
      processes: [...front.processes, { name: 'nats-server', pid: counters.pid }],
      check: async (sent) => {
        const sums = sumOfAll(sent);
        return { what: compareSums(await counters.read([...sums.keys()]), sums) };
      },
      readDisk: async () => ({ 'nats-server': { syncs: await counters.countMessages() } }),
    };
  },
};

async function startFront(
  scope: Scope,
  name: string,
  environment: NodeJS.ProcessEnv,
  profileFolder: string | undefined,
): Promise<{ url: string; processes: MeasuredProcess[] }> {
  const port = await findFreePort();
  const program = await startProgram(scope, {
    name,
    file: `tests/bench/contenders/${name}.ts`,
    environment: { PORT: String(port), ...environment },
    readyLine: 'listening',
    profileFolder,
  });
  return { url: `http://127.0.0.1:${port}`, processes: [{ ...program, servesHttp: true }] };
}
